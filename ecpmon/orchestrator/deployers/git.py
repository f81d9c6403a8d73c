"""The git command line by asyncio, with credentials kept out of sight.

No configuration of the user or the machine is read, hooks are off, and only the protocols file, https and ssh are
spoken. A token reaches git by an askpass helper that reads a variable of the child's environment: it is never on a
command line, in a file, in a log or in an error message.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from ecpmon.errors import DeploymentFailed, EcpError, KubernetesUnavailable, ValidationFailed

_TOKEN_VARIABLE: Final = "ECPMON_ASKPASS_TOKEN"  # noqa: S105 - the variable's name
_ASKPASS: Final = f"""#!/bin/sh
case "$1" in
  Username*) echo x-access-token ;;
  *) printf '%s\\n' "${_TOKEN_VARIABLE}" ;;
esac
"""
# What git and ssh need of our environment; our own secrets and a caller's GIT_* stay out.
_PASSED_ON: Final = (
    "PATH",
    "HOME",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
)
_OPTIONS: Final = (
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "credential.helper=",
    # A redirect to another host would be asked for, and given, the token.
    "-c",
    "http.followRedirects=false",
    "-c",
    "gc.autoDetach=false",
)
_SCP_LIKE: Final = re.compile(r"[A-Za-z0-9_][\w.-]*@[A-Za-z0-9][\w.-]*:(?!:)[^\s:]\S*")
_BRANCH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_AUTHOR: Final = re.compile(r"([^<>\r\n]*[^<>\s]) <([^<>\s]+)>")
_REFUSED: Final = (
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied",
    "host key verification failed",
    "returned error: 401",
    "returned error: 403",
)


def _invalid(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(f"{name} {message}", fields=[{"field": name, "message": message}])


def checked_url(url: str) -> str:
    """`url` when it is a remote we speak to. Raises ValidationFailed, which never repeats the URL."""
    name = "ECPMON_GITOPS_URL"
    if url.startswith("-") or re.search(r"[\x00-\x20\x7f]", url):
        raise _invalid(name, "must be a URL, not an option, and hold no spaces")
    if _SCP_LIKE.fullmatch(url):
        return url
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        raise _invalid(name, "is not a URL") from None
    if parts.scheme not in ("file", "https", "ssh") or "://" not in url:
        raise _invalid(name, "must begin with https://, ssh:// or file://, or read user@host:path")
    if password is not None:
        raise _invalid(name, "holds a password; take it out and set ECPMON_GITOPS_TOKEN instead")
    if parts.scheme != "file" and (not parts.hostname or parts.hostname.startswith("-")):
        raise _invalid(name, "names no host")
    return url


def checked_branch(branch: str) -> str:
    """`branch` when git takes it as a branch name and never as an option. Raises ValidationFailed."""
    odd = branch.endswith(("/", ".", ".lock")) or any(bad in branch for bad in ("..", "//", "/."))
    if odd or not _BRANCH.fullmatch(branch):
        raise _invalid("ECPMON_GITOPS_BRANCH", "is not a branch name")
    return branch


def checked_author(author: str) -> tuple[str, str]:
    """Name and address of `Name <address>`. Raises ValidationFailed."""
    match = _AUTHOR.fullmatch(author)
    if match is None:
        raise _invalid("ECPMON_GITOPS_AUTHOR", "must read `Name <address>`")
    return match[1], match[2]


@dataclass(frozen=True, slots=True)
class GitResult:
    code: int
    out: bytes
    err: str = field(repr=False)  # scrubbed


class Git:
    """Runs git in `folder`/clone.git, a bare repository of our own. `timeout`: seconds per call."""

    def __init__(self, folder: Path, author: str, token: SecretStr | None, timeout: float) -> None:
        self.clone = folder / "clone.git"
        self._askpass = folder / "askpass"
        self._author = checked_author(author)
        self._token = token.get_secret_value().strip() if token else ""
        self._timeout = timeout

    async def create(self) -> None:
        """An empty clone in place of what a former process left, with its locks."""
        self.clone.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(self.clone, ignore_errors=True)
        self._askpass.write_text(_ASKPASS, encoding="utf-8")
        self._askpass.chmod(0o700)
        await self.local("init", "--quiet", "--bare", "--template=", str(self.clone), inside=False)

    async def local(
        self, *arguments: str, stdin: bytes = b"", inside: bool = True, more: Mapping[str, str] | None = None
    ) -> bytes:
        """What a command that talks to nobody prints. Raises DeploymentFailed."""
        result = await self._run(arguments, stdin, self._environment(more), inside=inside)
        if result.code != 0:
            raise DeploymentFailed(
                f"git {arguments[0]} failed in the work folder ({_last_line(result.err)}); "
                "check that ECPMON_GITOPS_DIR is writable and its disk is not full"
            )
        return result.out

    async def remote(self, *arguments: str) -> GitResult:
        """Run a command that talks to the remote; the token is given to these only. The caller reads `code`."""
        return await self._run(arguments, b"", self._environment({_TOKEN_VARIABLE: self._token}))

    def _environment(self, more: Mapping[str, str] | None) -> dict[str, str]:
        name, address = self._author
        passed = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        return passed | {
            "LC_ALL": "C",  # messages are read
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "file:https:ssh",
            "GIT_ASKPASS": str(self._askpass),
            "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": address,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": address,
            **(more or {}),
        }

    async def _run(
        self, arguments: tuple[str, ...], stdin: bytes, environment: Mapping[str, str], *, inside: bool = True
    ) -> GitResult:
        where = (f"--git-dir={self.clone}",) if inside else ()
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                *_OPTIONS,
                *where,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
                start_new_session=True,  # so that its helpers (git-remote-https, ssh) end with it
            )
        except FileNotFoundError:
            raise DeploymentFailed("git is not installed here; install it to deploy by gitops") from None
        try:
            out, err = await asyncio.wait_for(process.communicate(stdin), self._timeout)
        except TimeoutError:
            raise KubernetesUnavailable(
                f"git {arguments[0]} did not end within {self._timeout:g} s; check that the git remote can be reached"
            ) from None
        finally:
            await _end(process)
        return GitResult(process.returncode or 0, out, self.scrub(err.decode("utf-8", "replace")))

    def scrub(self, text: str) -> str:
        """`text` without the token and without user names or passwords inside URLs."""
        if self._token:
            text = text.replace(self._token, "***")
        return re.sub(r"://[^/@\s]+@", "://***@", text)


async def _end(process: asyncio.subprocess.Process) -> None:
    """See that the child and its helpers are gone; asked first, because git then removes its lock files."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), 2.0)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def remote_failure(result: GitResult) -> EcpError:
    """The error for a failed talk with the remote, with what to do about it."""
    text = result.err.lower()
    if any(sign in text for sign in _REFUSED):
        return DeploymentFailed(
            "the git remote refused our credentials; check ECPMON_GITOPS_TOKEN (or the ssh key), that it has not "
            f"expired and that it may write ({_told(result.err)})"
        )
    return KubernetesUnavailable(
        "the git remote does not answer; check ECPMON_GITOPS_URL and the network, then try again "
        f"({_told(result.err)})"
    )


def remote_words(text: str) -> str:
    """What the other side itself had to say: hooks and hosts write it behind `remote:`; at most 300 characters."""
    lines = [line.removeprefix("remote:").strip() for line in text.splitlines() if line.startswith("remote:")]
    return " ".join(" ".join(lines).split())[:300]


def _told(text: str) -> str:
    return "; ".join(filter(None, (_last_line(text), remote_words(text))))


def _last_line(text: str) -> str:
    """The line that says what went wrong, at most 300 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (telling or lines or ["no message"])[0][:300]
