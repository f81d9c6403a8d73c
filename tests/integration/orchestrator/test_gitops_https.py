"""The token's way to a real https remote: git's own smart HTTP backend behind TLS and basic authentication."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr
from structlog.testing import capture_logs

from ecpmon.errors import DeploymentFailed
from ecpmon.orchestrator.deployers.gitops import GitopsDeployer
from tests.integration.orchestrator.test_gitops_deployer import TOKEN, Phases, Remote, release, text_of


def _is_ours(header: str) -> bool:
    kind, _, encoded = header.partition(" ")
    return kind == "Basic" and base64.b64decode(encoded).decode().partition(":")[2] == TOKEN


async def _backend(request: web.Request) -> web.Response:
    """One request through `git http-backend`."""
    if not _is_ours(request.headers.get("Authorization", "")):
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
    body = await request.read()
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(request.app[ROOT]),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REMOTE_USER": "ecpmon",
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query_string,
        "REQUEST_METHOD": request.method,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": "",
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
    }
    process = await asyncio.create_subprocess_exec(
        "git",
        "http-backend",
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(body)
    head, _, content = out.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    status = int(headers.pop("Status", "200").split()[0])
    return web.Response(status=status, headers=headers, body=content)


ROOT = web.AppKey("root", Path)


@pytest.fixture
async def https_remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Remote, str]]:
    """A bare repository and its https URL; git trusts the certificate by GIT_SSL_CAINFO."""
    remote, key, certificate = Remote(tmp_path / "remote.git"), tmp_path / "key.pem", tmp_path / "cert.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=127.0.0.1",
    ]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    app = web.Application()
    app[ROOT] = tmp_path
    app.router.add_route("*", "/{path:.*}", _backend)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    yield remote, f"https://127.0.0.1:{port}/remote.git"
    await runner.cleanup()


async def test_the_token_opens_the_remote_and_shows_nowhere(
    https_remote: tuple[Remote, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    remote, url = https_remote
    seen, bin_ = tmp_path / "argv", tmp_path / "bin"
    bin_.mkdir()
    wrapper = bin_ / "git"
    recording = f'#!/bin/sh\nprintf "%s\\n" "$*" >> {seen}\nexec {shutil.which("git")} "$@"\n'
    wrapper.write_text(recording, encoding="utf-8")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    work = tmp_path / "work"
    deployer = GitopsDeployer(url, work, token=SecretStr(TOKEN))
    with capture_logs() as logs:
        assert (await deployer.apply(release(), Phases())).changed
        await deployer.apply(release(channels=100), Phases())
    assert remote.manifest("acme") == text_of(release(channels=100))
    argv = seen.read_text(encoding="utf-8")
    assert " push " in argv
    for coded in (TOKEN, base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()):
        assert coded not in argv + repr(logs) + "".join(capfd.readouterr())
        files = [p for folder in (work, remote.folder) for p in folder.rglob("*") if p.is_file()]
        assert not [p for p in files if coded.encode() in p.read_bytes()]


@pytest.mark.parametrize("token", [None, SecretStr("another-token")])
async def test_refused_credentials_say_what_to_check(
    https_remote: tuple[Remote, str], tmp_path: Path, token: SecretStr | None
) -> None:
    deployer = GitopsDeployer(https_remote[1], tmp_path / "work", token=token)
    with pytest.raises(DeploymentFailed, match="ECPMON_GITOPS_TOKEN") as caught:
        await deployer.apply(release(), Phases())
    assert "another-token" not in str(caught.value)
