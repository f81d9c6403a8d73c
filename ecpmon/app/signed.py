"""Tokens that an issuer signs, as the settings have it. Imported only where one is configured."""

from __future__ import annotations

from datetime import timedelta

import aiohttp

from ecpmon.app.backend import BackendRuntime
from ecpmon.identity.claims import Expected
from ecpmon.identity.desk import Desk
from ecpmon.identity.issuer import Issuer, Source
from ecpmon.ports.service import Clock
from ecpmon.settings import Settings
from ecpmon.telemetry import Telemetry


def issuer_of(
    settings: Settings, session: aiohttp.ClientSession, clock: Clock, telemetry: Telemetry
) -> Issuer:
    """Who signs, and how that one is asked. For settings with an issuer."""
    source = Source(
        issuer=settings.oidc_issuer or "",
        jwks_url=settings.oidc_jwks_url,
        signs_in=settings.oidc_client_id is not None,
        algorithms=frozenset(settings.oidc_algorithms.split(",")),
        allow_http=settings.oidc_allow_http,
        refresh=timedelta(seconds=settings.oidc_refresh),
        max_age=timedelta(seconds=settings.oidc_keys_max_age),
    )
    issuer = Issuer(session, source, clock.now)
    fetches = telemetry.watch_issuer(away=lambda: issuer.away, age=issuer.age)
    issuer.on_fetch = lambda answered: fetches.labels("answered" if answered else "failed").inc()
    return issuer


def desk_of(settings: Settings, issuer: Issuer, runtime: BackendRuntime) -> Desk:
    """Who shows such a token. `runtime`: of production."""
    issuer.on_loss = runtime.signed.clear
    expected = Expected(
        issuer=settings.oidc_issuer or "",
        audience=settings.oidc_audience or "",
        roles=settings.oidc_roles_claim,
        tenants=settings.oidc_tenants_claim,
        leeway=timedelta(seconds=settings.oidc_leeway),
        longest=timedelta(seconds=settings.oidc_max_lifetime),
    )
    return Desk(issuer, expected, runtime.tenants, runtime.signed)
