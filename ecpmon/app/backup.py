"""A backup is good when it was restored and holds what the database held: made, tried, kept; and brought back.

    dumping --the dump is complete--> trying --every table is the same--> kept (with its manifest)
       |                                |
       +--failed: nothing is left       +--differs: kept apart as `.bad`, with what differs

Invariants: a file is named `….dump` (or `….dump.gpg`) only beside a manifest, which is written last; older backups go
only when a new one is good; a restore makes a database of its own and changes names at its very end, so what was there
stays as it was, under another name.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from ecpmon.errors import LocalStackError
from ecpmon.local.dumping import Programs, Tell, database_of, named, user_of
from ecpmon.settings import Settings
from ecpmon.storage import backups
from ecpmon.storage.backups import BackupRefused, Backups, Beside, Contents, differences
from ecpmon.storage.database import Database

SUFFIX: Final = ".dump"
SEALED: Final = ".gpg"
_CHUNK: Final = 2**20
_FORMAT: Final = 1
# Fields that are no SecretStr and may hold a token all the same.
_HEADERS: Final = "_headers"


class NotTheSame(BackupRefused):
    """A backup was restored and is not what it was made of."""

    code = "BACKUP_DIFFERS"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`keep`: how many of this database's backups stay in the folder. `recipient`: whom it is sealed for.

    `superuser`: URL of who restores it to try it, on the same server; None: the database's own role does.
    """

    folder: Path
    keep: int = 14
    verify: bool = True
    recipient: str | None = None
    superuser: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    file: Path
    contents: Contents
    size: int
    verified: bool
    removed: list[Path]


async def back_up(
    url: str, settings: Settings, wanted: Wanted, programs: Programs, tell: Tell, now: Callable[[], datetime]
) -> Made:
    """Raises EcpError: then no backup was made, and those that are there stay."""
    wanted.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(wanted.folder):
        return await _back_up(url, settings, wanted, programs, tell, now)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of two at once in a folder the second one is refused."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalStackError(
                f"another backup is being made in {folder}", hint="wait for it, or name another folder"
            ) from error
        yield


async def _back_up(
    url: str, settings: Settings, wanted: Wanted, programs: Programs, tell: Tell, now: Callable[[], datetime]
) -> Made:
    taken = now()
    stem = f"{database_of(url)}-{taken.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    part = wanted.folder / f"{stem}{SUFFIX}.part"
    _private(part)
    try:
        async with backups.read(url) as (held, snapshot):
            tell(f"{held.database}: {held.rows} rows of {len(held.tables)} tables are read; dumping them")
            await programs.dump(url, snapshot, part)
        if wanted.verify:
            tell(f"{part.stat().st_size / 2**20:.1f} MiB are dumped; restoring them to see that they can be")
            await _try(wanted.superuser or url, part, held, programs)
        file = wanted.folder / f"{stem}{SUFFIX}{SEALED if wanted.recipient else ''}"
        made = await _keep(part, file, held, settings, wanted, programs)
    finally:
        part.unlink(missing_ok=True)
    ended = now()
    await _note(url, made, ended, wanted.verify)
    removed = _retain(wanted.folder, database_of(url), wanted.keep)
    return Made(file, held, made["bytes"], wanted.verify, removed)


def _private(file: Path) -> None:
    """Nobody else reads it from the first byte on."""
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))


async def _try(url: str, part: Path, held: Contents, programs: Programs) -> None:
    """Restore it into a database that is made for this, and compare. Raises NotTheSame; the dump is kept as `.bad`."""
    scratch = f"ecpmon_verify_{secrets.token_hex(6)}"
    async with Beside.open(url) as beside:
        await beside.make(scratch)
        try:
            found = await _restored(named(url, scratch), part, programs, owners=False)
        finally:
            await beside.drop(scratch)
    if different := differences(held, found):
        bad = part.with_suffix(".bad")
        part.replace(bad)
        raise NotTheSame(f"restored, it is not the same ({bad}): {'; '.join(different[:20])}")


async def _restored(url: str, file: Path, programs: Programs, *, owners: bool) -> Contents:
    """What an empty database holds when a dump has been restored into it."""
    await backups.prepare(url, restoring=True)
    await programs.restore(url, file, owners=owners)
    await backups.prepare(url, restoring=False)
    return await backups.contents(url)


async def _keep(
    part: Path, file: Path, held: Contents, settings: Settings, wanted: Wanted, programs: Programs
) -> dict[str, Any]:
    """The file under its name, and then its manifest."""
    if wanted.recipient:
        sealed = part.with_suffix(".sealed")
        _private(sealed)
        try:
            await programs.seal(part, wanted.recipient, sealed)
            sealed.replace(part)
        finally:
            sealed.unlink(missing_ok=True)
    manifest = {
        "format": _FORMAT,
        "ecpmon": version("ecpmon"),
        "file": file.name,
        "bytes": part.stat().st_size,
        "sha256": await asyncio.to_thread(_sha256, part),
        "verified": wanted.verify,
        "contents": held.as_document(),
        "settings": told(settings),
    }
    await asyncio.to_thread(_sync, part)
    part.replace(file)
    _write(_manifest_of(file), manifest)
    return manifest


def told(settings: Settings) -> dict[str, Any]:
    """The configuration without a secret in it: of those it is told that they are set. What is not set is left out."""
    found: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if value == field.get_default(call_default_factory=True):
            continue
        if isinstance(value, SecretStr):
            found[name] = "(set, not told)"
        elif name.endswith(_HEADERS):
            found[name] = dict.fromkeys(value, "(set, not told)")
        else:
            found[name] = _place(str(value))
    return found


def _place(text: str) -> str:
    """A URL as far as its host: whoever knows the rest of a webhook's may use it."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    host, slash, path = rest.partition("/")
    if "@" in path:  # a password may hold a slash: what is the host is not known
        return f"{scheme}://…"
    _, at, place = host.rpartition("@")
    return f"{scheme}://{'…@' if at else ''}{place}{'/…' if path else slash}"


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(file: Path) -> None:
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def _manifest_of(file: Path) -> Path:
    return file.with_name(file.name.removesuffix(SEALED)).with_suffix(".json")


def _write(path: Path, document: dict[str, Any]) -> None:
    new = path.with_suffix(".json.part")
    _private(new)
    new.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    _sync(new)
    new.replace(path)


async def _note(url: str, manifest: dict[str, Any], ended: datetime, verified: bool) -> None:
    database = Database(url, max_connections=1, name="ecpmon backup")
    taken = datetime.fromisoformat(manifest["contents"]["taken_at"])
    try:
        await Backups(database).note(
            manifest["file"],
            taken,
            max(ended, taken),  # two machines' clocks
            manifest["bytes"],
            manifest["sha256"],
            verified=verified,
        )
    finally:
        await database.close()


def _retain(folder: Path, database: str, keep: int) -> list[Path]:
    """Take away the oldest, and what a run that was killed left behind; which these were."""
    removed = []
    manifests = sorted(folder.glob(f"{database}-*.json"), reverse=True)
    for manifest in manifests[keep:]:
        plain = manifest.with_suffix(SUFFIX)
        for file in (plain, plain.with_name(plain.name + SEALED)):
            if file.exists():
                file.unlink()
                removed.append(file)
        manifest.unlink()
    for left in [*folder.glob(f"{database}-*.part"), *folder.glob(f"{database}-*.sealed")]:
        left.unlink()
    return removed


# --- and back ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    """`former`: what the database that was there is called now, where one was."""

    contents: Contents
    former: str | None
    roles: list[str]


async def restore(
    url: str,
    file: Path,
    programs: Programs,
    tell: Tell,
    now: datetime,
    *,
    replace: str | None = None,
    superuser: str | None = None,
) -> Restored:
    """Bring a backup back as the database of `url`; `replace`: the name of one that holds something, to be sure.

    `superuser`: URL of who does it, on the same server, where the database's own role may not.

    Raises EcpError: then nothing was changed.
    """
    held = _held(file)
    name = database_of(url)
    by = superuser or url
    async with Beside.open(by) as beside:
        exists = await beside.exists(name)
        if exists and replace != name and not await backups.is_empty(url):
            raise BackupRefused(
                f"{name} holds something, and is left as it is; `--replace {name}` keeps it under another name"
            )
        await _check(file)
        fresh = f"{name[:40]}_new_{secrets.token_hex(4)}"
        made = await beside.ensure_roles(held.roles)
        await beside.make(fresh, user_of(url) if superuser else None)
        try:
            tell(f"restoring {file.name} into {fresh}")
            found = await _from_file(named(by, fresh), file, programs, owners=superuser is not None)
            if different := differences(held, found):
                raise NotTheSame(f"restored, it is not what its manifest says: {'; '.join(different[:20])}")
            former = f"{name[:40]}_before_{now.astimezone(UTC):%Y%m%d%H%M%S}" if exists else None
            if former is not None:
                await beside.rename(name, former)
            await beside.rename(fresh, name)
        except BaseException:
            await beside.drop(fresh)
            raise
    return Restored(found, former, made)


async def _from_file(url: str, file: Path, programs: Programs, *, owners: bool) -> Contents:
    if file.suffix != SEALED:
        return await _restored(url, file, programs, owners=owners)
    plain = file.with_suffix(".opened")
    _private(plain)
    try:
        await programs.open(file, plain)
        return await _restored(url, plain, programs, owners=owners)
    finally:
        plain.unlink(missing_ok=True)


def _held(file: Path) -> Contents:
    """By its manifest. Raises LocalStackError."""
    manifest = _manifest_of(file)
    try:
        return Contents.of_document(json.loads(manifest.read_text(encoding="utf-8"))["contents"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LocalStackError(
            f"{manifest} does not say what {file.name} holds: {error}",
            hint="a backup and its manifest, which `ecpmon backup` writes beside it, belong together",
        ) from error


async def _check(file: Path) -> None:
    """Raises LocalStackError when it is not the file that was written."""
    manifest = json.loads(_manifest_of(file).read_text(encoding="utf-8"))
    if await asyncio.to_thread(_sha256, file) != manifest["sha256"]:
        raise LocalStackError(
            f"{file} is not what was written: its SHA-256 is another one",
            hint="fetch it again from where it was copied, or take an older one",
        )
