"""Fetch Debian packages into a private folder: the system's apt, mirror and keys, but none of its state.

Nothing of the system is changed: lists, archives and package status live in our folder, the hooks of the
system's configuration are cleared, while its proxy and certificate settings keep applying. apt verifies the
release file's signature and every package's hash.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ecpmon.errors import LocalStackError
from ecpmon.local.command import run

SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
ELSEWHERE_HINT = (
    "start the system with the compose file in deploy/, or run `ecpmon serve` with ECPMON_DATABASE_URL set to"
    " a TimescaleDB of your own"
)

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, done, total); bytes for downloads, steps otherwise."""

_TARGET_FORMAT = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
_URI_LINE = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+)")


@dataclass(frozen=True, slots=True)
class AptPlatform:
    """What a system must offer so that we can fetch from it."""

    architecture: str
    mirror: str
    keyring: Path


def detect_architecture(machine: str | None = None) -> str:
    """Debian's name of this machine's architecture. Raises LocalStackError for an unknown one."""
    machine = machine or os.uname().machine
    if machine not in _ARCHITECTURES:
        raise LocalStackError(f"no packages are known for {machine} machines", hint=ELSEWHERE_HINT)
    return _ARCHITECTURES[machine]


def detect_platform() -> AptPlatform:
    """The system's Debian mirror and architecture. Raises LocalStackError where fetching is impossible."""
    architecture = detect_architecture()
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise LocalStackError(
                f"the real parts come as Debian packages, and this system has no {tool}", hint=ELSEWHERE_HINT
            )
    mirror = debian_mirror(run(["apt-get", "indextargets", "--format", _TARGET_FORMAT]).stdout)
    if mirror is None:
        raise LocalStackError(
            "this system's apt knows no Debian mirror to fetch PostgreSQL and Prometheus from",
            hint=ELSEWHERE_HINT,
        )
    if not KEYRING.is_file():
        raise LocalStackError(
            f"the Debian archive keys are missing ({KEYRING})",
            hint="install the package debian-archive-keyring, then run the same command again",
        )
    return AptPlatform(architecture, mirror, KEYRING)


def debian_mirror(index_targets: str) -> str | None:
    """The mirror URI of Debian's main archive in the output of `apt-get indextargets`; None if there is none.

    Lines read `uri|release|component|origin`. The origin is empty before the system's first `apt-get update`.
    Security, updates and backports are other archives or suites and do not count.
    """
    for line in index_targets.splitlines():
        uri, _, rest = line.partition("|")
        release, component, origin = [*rest.split("|"), "", "", ""][:3]
        known_as_debian = origin == "Debian" or (
            origin in {"", "$(ORIGIN)"} and uri.rstrip("/").endswith("/debian")
        )
        if known_as_debian and component == "main" and "-" not in release and "/" not in release:
            return uri
    return None


class AptWorkspace:
    """A private apt in `folder`. Not safe for two processes at once: the caller holds a lock."""

    def __init__(self, folder: Path, platform: AptPlatform, *, suite: str = SUITE, retries: int = 3) -> None:
        self.folder = folder
        self.suite = suite
        self.retries = retries
        self.platform = platform
        self.archives = folder / "archives"

    def prepare(self) -> None:
        """Write the private configuration and fetch the package lists (about 10 MB)."""
        for sub in ("lists/partial", "archives/partial"):
            (self.folder / sub).mkdir(parents=True, exist_ok=True)
        self._sources.write_text(render_sources(self.platform, self.suite))
        self._conf.write_text(render_conf(self.folder, self.platform, as_root=os.geteuid() == 0))
        self._run(
            [
                "apt-get",
                "update",
                "-q",
                "-o",
                f"Acquire::Retries={self.retries}",
                "-o",
                "APT::Update::Error-Mode=any",
            ]
        )

    def sizes(self, packages: Sequence[str]) -> dict[str, int]:
        """Bytes to download by file name; files that are here already are left out."""
        output = self._run(["apt-get", "download", "--print-uris", *packages])
        return parse_sizes(output)

    def download(self, packages: Sequence[str], progress: Progress) -> list[Path]:
        """Download `packages` and return the verified `.deb` files."""
        sizes = self.sizes(packages)
        with watch_folder(self.archives, sum(sizes.values()), progress):
            self._run(["apt-get", "download", "-q", "-o", f"Acquire::Retries={self.retries}", *packages])
        files = sorted(self.archives.glob("*.deb"))
        missing = [name for name in packages if not any(f.name.startswith(name + "_") for f in files)]
        if missing:
            raise LocalStackError(
                f"apt reported success but did not deliver {', '.join(missing)}",
                hint=f"remove {self.folder} and run the same command again",
            )
        return files

    @property
    def _conf(self) -> Path:
        return self.folder / "apt.conf"

    @property
    def _sources(self) -> Path:
        return self.folder / "sources.list"

    def _run(self, argv: Sequence[str]) -> str:
        # `env` adds to the inherited environment, where a proxy may be named, without our reading it
        done = run(["env", "LC_ALL=C", argv[0], "-c", str(self._conf), *argv[1:]], cwd=self.archives)
        if done.returncode != 0:
            raise explain_failure(done.stderr or done.stdout, self.folder)
        return done.stdout


def render_sources(platform: AptPlatform, suite: str = SUITE) -> str:
    """The one line of our private sources file."""
    options = f"arch={platform.architecture} signed-by={platform.keyring} target=Packages lang=none"
    return f"deb [{options}] {platform.mirror} {suite} main\n"


def render_conf(folder: Path, platform: AptPlatform, *, as_root: bool) -> str:
    """The private apt configuration; read last (`-c`), so it wins over the system's."""
    cleared = ("APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success",
               "DPkg::Pre-Invoke", "DPkg::Post-Invoke", "APT::Default-Release")  # fmt: skip
    values: dict[str, object] = {
        "APT::Architecture": platform.architecture,
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
        "Dir::Cache::pkgcache": "pkgcache.bin",
        "Dir::Cache::srcpkgcache": "",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::Log": folder,
        "Acquire::http::Timeout": "30",
        "Acquire::https::Timeout": "30",
    }
    if as_root:  # the sandbox user may not be able to write into our folder
        values["APT::Sandbox::User"] = "root"
    lines = [f"#clear {name};" for name in cleared] + [f'{name} "{value}";' for name, value in values.items()]
    return "\n".join(lines) + "\n"


def parse_sizes(print_uris: str) -> dict[str, int]:
    """Size in bytes by file name, from `apt-get download --print-uris`."""
    found = (_URI_LINE.match(line) for line in print_uris.splitlines())
    return {match["file"]: int(match["size"]) for match in found if match}


@contextmanager
def watch_folder(folder: Path, total: int, progress: Progress) -> Iterator[None]:
    """Report the growth of `folder` as download progress; apt itself only talks to terminals."""
    before = _folder_size(folder)
    stop = threading.Event()

    def report() -> None:
        while not stop.wait(0.2):
            progress("downloading", min(total, _folder_size(folder) - before), total)

    thread = threading.Thread(target=report, name="ecpmon-download-progress", daemon=True)
    progress("downloading", 0, total)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    progress("downloading", total, total)


def _folder_size(folder: Path) -> int:
    total = 0
    for entry in folder.rglob("*"):
        try:
            total += entry.stat().st_size
        except FileNotFoundError:  # apt renames finished files
            continue
    return total


def explain_failure(stderr: str, folder: Path) -> LocalStackError:
    """Turn apt's error output into one error with the sentence that helps."""
    wrong = [
        line for line in stderr.splitlines() if line.startswith(("E:", "W:", "Err"))
    ] or stderr.splitlines()
    message = "; ".join(line.removeprefix("E: ").strip() for line in wrong[:3]) or "apt-get failed"
    return LocalStackError(f"fetching packages failed: {message}", hint=_failure_hint(stderr, folder))


def _failure_hint(stderr: str, folder: Path) -> str:
    text = stderr.lower()
    if "no space left" in text or "enough free space" in text:
        return f"free at least 1 GB on the disk of {folder}, or set ECPMON_CACHE_DIR to another disk"
    if "not signed" in text or "no_pubkey" in text or "couldn't be verified" in text:
        return (
            "the mirror's signature was refused: update debian-archive-keyring, or configure another mirror"
        )
    if "unable to locate" in text or "does not have a release file" in text or "404" in text:
        return (
            f"the mirror does not carry Debian {SUITE}: configure a full Debian mirror for apt, or "
            + ELSEWHERE_HINT
        )
    if (
        "could not resolve" in text
        or "failed to fetch" in text
        or "could not connect" in text
        or "timed out" in text
    ):
        return "check the network and apt's proxy settings (`apt-get update` must work), then run it again"
    return f"see the message above; removing {folder} starts the download afresh"
