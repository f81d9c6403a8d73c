"""Programs beside the database: the service, Prometheus, Alertmanager, the simulator, a cluster, a mail server."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp

from ecpmon.app.deploying import IN_CLUSTER
from ecpmon.app.doctor.findings import ERROR, OK, WARNING, Clock, Finding, clocks, unset
from ecpmon.errors import EcpError
from ecpmon.settings import Settings

_SMTP_SECONDS: Final = 8.0


class _NoAnswer(Exception):
    """Why nothing useful came."""


async def _asked(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]
) -> tuple[Any, datetime | None]:
    """The answer as JSON, and the sender's clock by its `Date`."""
    try:
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            said = answer.headers.get("Date")
            at = None
            with contextlib.suppress(TypeError, ValueError):
                at = parsedate_to_datetime(said) if said else None
            if answer.status not in (200, 503):
                raise _NoAnswer(f"answered {answer.status}")
            return await answer.json(content_type=None), at
    except (aiohttp.ClientError, OSError) as error:
        raise _NoAnswer(f"does not answer ({type(error).__name__})") from error
    except ValueError as error:
        raise _NoAnswer("answered something other than JSON") from error


async def service(session: aiohttp.ClientSession, url: str, now: Clock) -> list[Finding]:
    """ecpmon itself, if it runs."""
    before = now()
    try:
        told, at = await _asked(session, f"{url.rstrip('/')}/ready", {})
    except _NoAnswer as error:
        todo = "start it (`ecpmon serve`), or name its place: --url or ECPMON_URL"
        return [Finding(WARNING, "service", f"{url} {error}", todo)]
    after = now()
    components = told.get("components", {}) if isinstance(told, dict) else {}
    found = [
        Finding(
            OK if part["ok"] else ERROR, "service", f"{name}: {_words(part)}", "" if part["ok"] else _SERVICE
        )
        for name, part in components.items()
    ] or [Finding(ERROR, "service", f"{url} is not ecpmon", "name its place: --url or ECPMON_URL")]
    return [*found, *_clock("service", at, before, after)]


_SERVICE: Final = "its log says more; `database` below says what is missing there"


def _words(part: Mapping[str, Any]) -> str:
    named = {
        k: v
        for k, v in part.items()
        if k in ("database", "migrations", "leadership", "writes", "error") and v
    }
    return ", ".join(f"{name} {value}" for name, value in named.items()) or "answers"


def _clock(subject: str, at: datetime | None, before: datetime, after: datetime) -> list[Finding]:
    # A `Date` is cut to its second.
    if at is None or before.replace(microsecond=0) <= at <= after:
        return []
    return [clocks(subject, at.astimezone(UTC), before, after)]


async def prometheus(session: aiohttp.ClientSession, settings: Settings, now: Clock) -> list[Finding]:
    url = settings.prometheus_url
    if not url:
        return unset("prometheus", "prometheus_url", "none: nothing is pulled from one")
    before = now()
    try:
        told, _ = await _asked(
            session, f"{url}/api/v1/query?query=vector(time())", settings.prometheus_headers
        )
        seconds = float(told["data"]["result"][0]["value"][1])
    except _NoAnswer as error:
        return [
            Finding(ERROR, "prometheus", f"{url} {error}", "see that it runs, and ECPMON_PROMETHEUS_HEADERS")
        ]
    except (KeyError, IndexError, TypeError, ValueError):
        return [Finding(ERROR, "prometheus", f"{url} speaks no Prometheus API", "name the root of its API")]
    theirs = datetime.fromtimestamp(seconds, UTC)
    return [
        Finding(OK, "prometheus", f"{url} answers queries"), clocks("prometheus", theirs, before, now()),
    ]  # fmt: skip


async def alertmanager(session: aiohttp.ClientSession, settings: Settings, now: Clock) -> list[Finding]:
    """Those that are asked, and those that are told; each once."""
    urls = [settings.alertmanager_url, *(settings.alertmanager_send_urls or "").split(",")]
    asked = [
        await _alertmanager(session, url, settings.alertmanager_headers, now)
        for url in dict.fromkeys(urls)
        if url
    ]
    if not settings.alertmanager_url:
        why = "none: nobody is asked which alerts are silenced"
        asked.append(unset("alertmanager", "alertmanager_url", why))
    return [finding for part in asked for finding in part]


async def _alertmanager(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], now: Clock
) -> list[Finding]:
    before = now()
    try:
        told, at = await _asked(session, f"{url}/api/v2/status", headers)
        name = told["versionInfo"]["version"]
    except _NoAnswer as error:
        return [
            Finding(
                ERROR, "alertmanager", f"{url} {error}", "see that it runs, and ECPMON_ALERTMANAGER_HEADERS"
            )
        ]
    except (KeyError, TypeError):
        return [
            Finding(ERROR, "alertmanager", f"{url} speaks no Alertmanager API", "name the root of its API")
        ]
    return [Finding(OK, "alertmanager", f"{url}, {name}"), *_clock("alertmanager", at, before, now())]


async def simulator(session: aiohttp.ClientSession, settings: Settings, now: Clock) -> list[Finding]:
    url = settings.simulator_url
    if not url:
        return unset("simulator", "simulator_url", "none")
    before = now()
    try:
        _, at = await _asked(session, f"{url}/health", {})
    except _NoAnswer as error:
        return [Finding(ERROR, "simulator", f"{url} {error}", "start it: `ecpmon simulator --state-dir …`")]
    return [Finding(OK, "simulator", f"{url} answers"), *_clock("simulator", at, before, now())]


async def cluster(settings: Settings) -> list[Finding]:
    """The cluster that tenants are deployed to, and whether we may do it there."""
    from ecpmon.orchestrator.deployers.cluster import Cluster, ClusterAddress, Refused

    if not settings.kubeconfig:
        return unset("cluster", "kubeconfig", "none: `kubernetes` is no method of deployment")
    file = None if settings.kubeconfig == IN_CLUSTER else settings.kubeconfig
    asked = Cluster(ClusterAddress(kubeconfig=file, context=settings.kube_context, timeout=5))
    try:
        told = await asked.call("GET", "/version")
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                  "spec": {"resourceAttributes": {"verb": "create", "resource": "namespaces"}}}  # fmt: skip
        answer = await asked.call(
            "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review
        )
    except (EcpError, Refused, OSError) as error:
        return [
            Finding(
                ERROR, "cluster", str(error), "try `kubectl version` with the same kubeconfig and context"
            )
        ]
    finally:
        await asked.close()
    found = [Finding(OK, "cluster", f"Kubernetes {told.get('gitVersion', '?')}")]
    if not answer.get("status", {}).get("allowed"):
        found.append(
            Finding(
                ERROR, "cluster", "we may not create namespaces there", "bind the role of docs/deploying.md"
            )
        )
    return found


async def mail(settings: Settings) -> list[Finding]:
    """Connects and says hello, as for a message, and sends none."""
    if not settings.smtp_host:
        return unset("mail", "smtp_host", "none: no statement and no alert goes out by e-mail")
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    try:
        await asyncio.to_thread(_greet, settings)
    except (OSError, smtplib.SMTPException) as error:
        todo = "see ECPMON_SMTP_HOST, _PORT, _SECURITY, _USERNAME and _PASSWORD"
        return [Finding(ERROR, "mail", f"{where}: {error}", todo)]
    return [Finding(OK, "mail", f"{where} takes our messages")]


def _greet(settings: Settings) -> None:
    kind: type[smtplib.SMTP] = smtplib.SMTP_SSL if settings.smtp_security == "tls" else smtplib.SMTP
    with kind(settings.smtp_host or "", settings.smtp_port, timeout=_SMTP_SECONDS) as server:
        if settings.smtp_security == "starttls":
            server.starttls()
        server.ehlo()
        if settings.smtp_username and settings.smtp_password:
            server.login(settings.smtp_username, settings.smtp_password.get_secret_value())
