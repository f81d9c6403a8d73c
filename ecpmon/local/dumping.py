"""PostgreSQL's own programs that write a database into a file and read it back, and gpg, which seals it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from ecpmon.errors import LocalStackError

_TOLD_SECONDS: Final = 5.0
_LAST_WORDS: Final = 1_000
Tell = Callable[[str], None]


class Programs:
    """`folder`: where PostgreSQL's are; None: wherever the shell would find them."""

    def __init__(self, folder: Path | None, tell: Tell = lambda _: None) -> None:
        self._folder = folder
        self._tell = tell

    async def dump(self, url: str, snapshot: str, file: Path) -> None:
        """All that a snapshot sees. Raises LocalStackError."""
        command = [self._find("pg_dump"), "--format=custom", "--compress=3", "--no-password"]
        command += [f"--snapshot={snapshot}", f"--file={file}", f"--dbname={without_password(url)}"]
        await self._run(command, _environment(url), file)

    async def restore(self, url: str, file: Path, *, owners: bool) -> None:
        """Into an empty database. Raises LocalStackError at the first object that cannot be made.

        `owners`: objects are whose they were, else of the role of `url`.
        """
        command = [self._find("pg_restore"), "--exit-on-error", "--no-password"]
        command += [] if owners else ["--no-owner"]
        command += [f"--dbname={without_password(url)}", str(file)]
        await self._run(command, _environment(url), None)

    async def seal(self, file: Path, recipient: str, target: Path) -> None:
        """For the holder of a key. Raises LocalStackError."""
        command = [
            self._find("gpg", beside=False),
            "--batch",
            "--yes",
            "--trust-model",
            "always",
            "--recipient",
        ]
        command += [recipient, "--output", str(target), "--encrypt", str(file)]
        await self._run(command, os.environ, target)

    async def open(self, file: Path, target: Path) -> None:
        command = [self._find("gpg", beside=False), "--batch", "--yes", "--output", str(target)]
        await self._run([*command, "--decrypt", str(file)], os.environ, target)

    def _find(self, name: str, *, beside: bool = True) -> str:
        found = shutil.which(name, path=str(self._folder) if self._folder and beside else None)
        if found is None:
            where = f" in {self._folder}" if self._folder and beside else ""
            raise LocalStackError(
                f"the program {name} is not there{where}",
                hint="install it (PostgreSQL's of the server's major version), or name its folder with --programs",
            )
        return found

    async def _run(
        self, command: Sequence[str], environment: Mapping[str, str], growing: Path | None
    ) -> None:
        """To its end; meanwhile it is told how large the file has grown. Cancelled, it is ended."""
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        telling = asyncio.create_task(self._tell_of(growing))
        try:
            _, said = await process.communicate()
        finally:
            telling.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            words = said.decode(errors="replace").strip()[-_LAST_WORDS:]
            raise LocalStackError(
                f"{Path(command[0]).name} ended with {process.returncode}: {words}",
                hint="what it said is above; nothing that was there before has been changed",
            )

    async def _tell_of(self, growing: Path | None) -> None:
        while growing is not None:
            await asyncio.sleep(_TOLD_SECONDS)
            if growing.exists():
                self._tell(f"{growing.stat().st_size / 2**20:.0f} MiB are written")


def without_password(url: str) -> str:
    """Every user of the machine sees the arguments of a program."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}{at}{host}"))


def named(url: str, database: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def user_of(url: str) -> str | None:
    user = urlsplit(url).username
    return unquote(user) if user else None


def database_of(url: str) -> str:
    return unquote(urlsplit(url).path.lstrip("/"))


def _environment(url: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    password = urlsplit(url).password
    return inherited | {"PGCONNECT_TIMEOUT": "30"} | ({"PGPASSWORD": unquote(password)} if password else {})
