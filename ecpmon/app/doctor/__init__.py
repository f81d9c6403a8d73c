"""`ecpmon doctor`: looks at everything that a configuration names, and says of each what it is and what to do.

Nothing is changed anywhere. Every part is asked by itself and within SECONDS, so that one that hangs hides none of the
others.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Final

import aiohttp

from ecpmon.app.doctor.configuration import configuration, files
from ecpmon.app.doctor.database import database
from ecpmon.app.doctor.findings import ERROR, OK, SKIPPED, WARNING, Clock, Finding
from ecpmon.app.doctor.neighbours import alertmanager, cluster, mail, prometheus, service, simulator
from ecpmon.settings import Settings

__all__ = ["ERROR", "OK", "SECONDS", "SKIPPED", "WARNING", "Finding", "examine"]
SECONDS: Final = 10.0


async def examine(
    settings: Settings, url: str, now: Clock, environ: Mapping[str, str] = os.environ
) -> list[Finding]:
    """All findings, in the order in which things depend on each other. `url`: where the service should answer."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=SECONDS), trust_env=False
    ) as session:
        parts: list[tuple[str, Awaitable[list[Finding]]]] = [
            ("database", database("database", settings.database_url, settings, now)),
            ("database_direct", database("database_direct", settings.database_direct_url, settings, now)),
            ("demo_database", database("demo_database", settings.demo_database_url, settings, now)),
            ("service", service(session, url, now)),
            ("prometheus", prometheus(session, settings, now)),
            ("alertmanager", alertmanager(session, settings, now)),
            ("simulator", simulator(session, settings, now)),
            ("cluster", cluster(settings)),
            ("mail", mail(settings)),
        ]
        told = await asyncio.gather(*(_bounded(subject, part) for subject, part in parts))
    here = [*configuration(environ), *files(settings, Path.cwd())]
    return [*here, *(finding for part in told for finding in part)]


async def _bounded(subject: str, part: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        async with asyncio.timeout(SECONDS):
            return await part
    except TimeoutError:
        what = f"has not answered within {SECONDS:g} s"
        return [
            Finding(
                ERROR, subject, what, "see whether it hangs, and whether something between us drops packets"
            )
        ]


def exit_code(findings: list[Finding]) -> int:
    """1 when something stands in the way."""
    return int(any(each.level == ERROR for each in findings))
