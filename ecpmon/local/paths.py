"""Where the embedded stack keeps things, and as which user its database runs.

PostgreSQL refuses to run as root. As root we therefore run the real parts as an unprivileged user, who must
be able to reach the unpacked binaries and the data: a root-only home folder (0700) is of no use then.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ecpmon.errors import LocalStackError

SYSTEM_CACHE = Path("/var/cache/ecpmon")
_SERVICE_USERS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """The account that the real parts run as; `groups` are all its group ids."""

    name: str
    uid: int
    gid: int
    groups: frozenset[int]


def service_user() -> ServiceUser | None:
    """The account to drop to, or None when we are not root and simply stay who we are.

    Raises LocalStackError when we are root and the system has no unprivileged account.
    """
    if os.geteuid() != 0:
        return None
    for name in _SERVICE_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        groups = frozenset(os.getgrouplist(name, entry.pw_gid))
        return ServiceUser(name, entry.pw_uid, entry.pw_gid, groups)
    raise LocalStackError(
        "PostgreSQL refuses to run as root, and this system has no unprivileged user to run it as",
        hint="run the same command as an ordinary user, or create a user named `postgres`",
    )


def can_traverse(path: Path, user: ServiceUser | None) -> bool:
    """Whether `user` may enter `path`; folders that do not exist yet are taken as creatable by us.

    None means ourselves. Access lists beyond the mode bits are not looked at.
    """
    if user is None:
        return True
    for folder in (path, *path.parents):
        try:
            info = folder.stat()
        except FileNotFoundError:
            continue
        except OSError:
            return False
        if not _may_enter(info, user):
            return False
    return True


def _may_enter(info: os.stat_result, user: ServiceUser) -> bool:
    if info.st_uid == user.uid:
        return bool(info.st_mode & stat.S_IXUSR)
    if info.st_gid in user.groups:
        return bool(info.st_mode & stat.S_IXGRP)
    return bool(info.st_mode & stat.S_IXOTH)


def cache_dir(
    environ: Mapping[str, str], user: ServiceUser | None, *, system_cache: Path = SYSTEM_CACHE
) -> Path:
    """The folder for downloads: `$ECPMON_CACHE_DIR`, else the user's cache folder, else root's shared one.

    Raises LocalStackError when `$ECPMON_CACHE_DIR` is set to a folder that the service user cannot enter.
    """
    chosen = environ.get("ECPMON_CACHE_DIR")
    if chosen:
        folder = Path(chosen).expanduser().absolute()
        if not can_traverse(folder, user):
            raise LocalStackError(
                f"ECPMON_CACHE_DIR={folder} cannot be entered by the user {user.name if user else ''!r}"
                " that PostgreSQL runs as",
                hint="choose a folder below one that everybody may enter, for example /var/cache/ecpmon",
            )
        return folder
    folder = _personal_cache(environ)
    return folder if can_traverse(folder, user) else system_cache


def _personal_cache(environ: Mapping[str, str]) -> Path:
    xdg = environ.get("XDG_CACHE_HOME", "")
    if xdg and Path(xdg).is_absolute():  # the XDG specification says to ignore relative paths
        return Path(xdg) / "ecpmon"
    home = Path(environ["HOME"]) if environ.get("HOME") else Path(pwd.getpwuid(os.geteuid()).pw_dir)
    return home / ".cache" / "ecpmon"


def instance_dir(checkout: Path, cache: Path, user: ServiceUser | None) -> Path:
    """The data folder of the stack that belongs to `checkout`; two checkouts never share one."""
    checkout = checkout.resolve()
    if can_traverse(checkout, user) and os.access(checkout, os.W_OK | os.X_OK):
        return checkout / ".ecpmon"
    digest = hashlib.sha256(str(checkout).encode()).hexdigest()[:10]
    return cache / "instances" / f"{checkout.name or 'root'}-{digest}"


def make_public_dir(path: Path) -> Path:
    """Create `path` and what is missing above it; as root, so that the service user may pass through them.

    The umask does not matter: a careful root has 077.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        for folder in missing:
            folder.chmod(0o755)
    return path


def make_private_dir(path: Path, user: ServiceUser | None) -> Path:
    """Create `path` with mode 0700, owned by the account the real parts run as; returns it."""
    path.mkdir(parents=True, exist_ok=True)
    if user is not None:
        os.chown(path, user.uid, user.gid)
    path.chmod(0o700)
    return path
