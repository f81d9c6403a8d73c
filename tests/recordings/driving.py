"""Runs a real server, sends it requests whose ends the client counts, and keeps what the server's metrics said.

Each module beside this one is a driver of one server, run by hand (it fetches packages): `python -m
tests.recordings.NAME` writes `tests/corpus/recordings/NAME.prom`. Everything is done in a temporary folder, and every
request goes to this machine.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ecpmon.local.apt import AptWorkspace, detect_platform
from ecpmon.local.command import run
from tests.processes import bound
from tests.recordings.recorded import AFTER, BEFORE, RECORDINGS

GAVE_UP = "gave up"
"""What a client saw that did not wait for the answer."""
LOADER = "ld-linux-x86-64.so.2"
LONGEST_START = 900.0
"""Seconds. Some servers are slow where little of a processor is theirs."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def temporary() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="recording-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(folder: Path, *packages: str, dependencies: bool = True) -> Path:
    """The Python of a new virtual environment with these pinned packages."""
    _done([sys.executable, "-m", "venv", folder / "venv"])
    python = folder / "venv/bin/python"
    more = () if dependencies else ("--no-deps",)
    _done([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *more, *packages])
    return python


def debian(folder: Path, *packages: str, suite: str = "trixie") -> Path:
    """A folder with these packages and all that they need, unpacked; nothing of the system is changed."""
    apt = AptWorkspace(folder / "apt", detect_platform(), suite=suite)
    apt.prepare()
    listed = run(
        ["env", "LC_ALL=C", "apt-get", "-c", folder / "apt/apt.conf", "install", "--print-uris", "-y", "-q",
         "--no-install-recommends", *packages],
    )  # fmt: skip
    names = re.findall(r"^'[^']+' ([^_\s]+)_\S+\.deb ", listed.stdout, re.MULTILINE)
    assert set(packages) <= set(names), listed.stderr
    root = folder / "root"
    root.mkdir()
    for file in apt.download(names, lambda *_: None):
        _done(["dpkg", "-x", file, root])
    root.chmod(0o755)
    return root


def version_of(root: Path, package: str) -> str:
    """Of an unpacked package, as Debian calls it."""
    [file] = (root.parent / "apt/archives").glob(f"{package}_*.deb")
    return file.name.split("_")[1].replace("%3a", ":")


def within(root: Path, program: str, *arguments: str) -> list[str]:
    """The command that runs an unpacked program with the libraries that were unpacked beside it."""
    libraries = [root / "usr/lib/x86_64-linux-gnu", root / "lib/x86_64-linux-gnu", root / "usr/lib"]
    loader = next(path / LOADER for path in libraries if (path / LOADER).exists())
    return [str(loader), "--library-path", ":".join(map(str, libraries)), str(root / program), *arguments]


def _done(argv: Sequence[str | os.PathLike[str]]) -> None:
    done = run(argv)
    assert done.returncode == 0, f"{argv[0]}: {done.stderr[-2000:]}"


@contextlib.contextmanager
def serving(
    argv: Sequence[str | Path],
    folder: Path,
    is_there: Callable[[], bool],
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from when it is there; it is ended with the block."""
    log = folder / f"{Path(argv[0]).name}-{free_port()}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            bound(argv), stdout=out, stderr=out, cwd=folder, env={**os.environ, **(env or {})}
        )
    try:
        deadline = time.monotonic() + LONGEST_START
        while not _holds(is_there):
            told = log.read_text(errors="replace")[-3000:]
            assert process.poll() is None, told
            assert time.monotonic() < deadline, f"not there within {LONGEST_START:g} s: {told}"
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _holds(is_there: Callable[[], bool]) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return is_there()
    return False


def text_of(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def ask(url: str, body: Any = None, patience: float = 20.0, headers: Mapping[str, str] | None = None) -> str:
    """The status, or GAVE_UP. Each request has a connection of its own, which is closed when the client gives up."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    more = {**({"Content-Type": "application/json"} if data is not None else {}), **(headers or {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, more), timeout=patience) as answer:
            answer.read()
            return str(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            error.read()  # else the server sees a client that went away
        return str(error.code)
    except TimeoutError:
        return GAVE_UP
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            return GAVE_UP
        raise


@dataclass(slots=True)
class Client:
    """Counts requests by what they were sent for. A request that ends otherwise than it has to ends the recording."""

    counted: dict[str, int] = field(default_factory=dict)

    def send(
        self, name: str, count: int, request: Callable[[], str], sees: Collection[str], at_once: int = 4
    ) -> None:
        with ThreadPoolExecutor(at_once) as pool:
            seen = list(pool.map(lambda _: request(), range(count)))
        wrong = [each for each in seen if each not in sees]
        assert not wrong, f"{name}: saw {wrong[:5]}"
        self.counted[name] = self.counted.get(name, 0) + count

    def sort(self, names: Mapping[str, str], seen: Sequence[str]) -> None:
        """Requests that were sent alike: `names` by what was seen."""
        for each in seen:
            self.counted[names[each]] = self.counted.get(names[each], 0) + 1


def settled(metrics: Callable[[], str], of: str, pause: float = 1.0) -> str:
    """What the metrics say when those whose names begin with `of` no longer change: servers count with a delay."""

    def counts(page: str) -> list[str]:
        return sorted(line for line in page.splitlines() if re.match(of, line))

    last = metrics()
    for _ in range(30):
        time.sleep(pause)
        now = metrics()
        if counts(now) == counts(last):
            return now
        last = now
    raise AssertionError(f"{of} does not come to rest")


@dataclass(frozen=True, slots=True)
class Recording:
    """What is written. `truth`: our counters, each as a sum of what the client counted. `left_out`: name -> why."""

    name: str
    server: str
    profile: str
    client: Mapping[str, int]
    truth: Mapping[str, str]
    left_out: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    threshold: float | None = None
    notes: Sequence[str] = ()
    levels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def write(self, before: str, after: str, keep: str, hide: Mapping[str, str] | None = None) -> None:
        """`keep`: a regular expression of the families that are kept; `hide`: what is replaced by what."""
        head: dict[str, Any] = {
            "server": self.server,
            "recorded": datetime.now(UTC).date().isoformat(),
            "profile": self.profile,
            **({"parameters": dict(self.parameters)} if self.parameters else {}),
            **({"threshold": self.threshold} if self.threshold is not None else {}),
            "client": dict(self.client),
            "truth": dict(self.truth),
            **({"levels": {when: dict(each) for when, each in self.levels.items()}} if self.levels else {}),
            **({"left_out": dict(self.left_out)} if self.left_out else {}),
            **({"notes": list(self.notes)} if self.notes else {}),
        }
        text = yaml.safe_dump(head, sort_keys=False, width=110, allow_unicode=True)
        lines = [f"# {line}" for line in text.splitlines()]
        pages = [trimmed(page, keep, hide or {}) for page in (before, after)]
        document = "\n".join([*lines, BEFORE, pages[0], AFTER, pages[1]])
        RECORDINGS.mkdir(exist_ok=True)
        (RECORDINGS / f"{self.name}.prom").write_text(re.sub(r"\n\n+", "\n", document) + "\n")


def trimmed(page: str, keep: str, hide: Mapping[str, str]) -> str:
    """The families that match, without help; of this machine nothing is left, and samples' own times are `{ms}`."""
    kept = []
    for line in page.splitlines():
        name = re.match(r"(?:# TYPE )?([A-Za-z_:][A-Za-z0-9_:]*)", line)
        if name is None or line.startswith("# HELP") or not re.fullmatch(keep, name.group(1)):
            continue
        kept.append(re.sub(r" (1[0-9]{12})$", " {ms}", line))
    text = "\n".join(kept)
    for what, instead in {socket.gethostname(): "host", **hide}.items():
        text = re.sub(what, instead, text)
    return text
