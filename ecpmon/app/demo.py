"""The two tenants that `ecpmon up` starts with, made through the public API like anybody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import aiohttp

from ecpmon.errors import LocalStackError

TENANTS: Final[tuple[dict[str, Any], ...]] = (
    {
        "tenant_id": "global-call-center",
        "name": "글로벌 콜센터",
        "preset": "medium",
        "service_requirements": {"callbot": 25, "chatbot": 50, "advisor": 10},
        "sla_target": {"availability": "99.5%", "response_time": "300ms"},
        "description": "Call centre with callbot, chatbot and advisor",
    },
    {
        "tenant_id": "city-helpdesk",
        "name": "City helpdesk",
        "preset": "small",
        "service_requirements": {"chatbot": 30},
        "sla_target": {"availability": "99.5%", "response_time": "400ms"},
        "description": "Chatbot of a city administration",
    },
)


async def ensure_demo_tenants(
    api: str, tell: Callable[[str], None], before: Callable[[str], None] = lambda _: None
) -> None:
    """Create and deploy what is missing; `before` hears of each that is deployed for the first time.

    Raises LocalStackError.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        for tenant in TENANTS:
            name = tenant["tenant_id"]
            known = await _call(session, "GET", f"{api}/api/v1/tenants/{name}", None, {200, 404})
            if "error" in known:
                await _call(session, "POST", f"{api}/api/v1/tenants/", tenant, {201, 409})
                known = {"status": "pending"}
            if known.get("status") == "pending":
                before(name)
                tell(f"deploying {name} into the simulator")
                body = {"include_monitoring": True, "enable_sla_tracking": True, "failure_scenarios": False}
                await _call(session, "POST", f"{api}/api/v1/simulator/deploy/{name}", body, {200, 201, 202})


async def _call(
    session: aiohttp.ClientSession, method: str, url: str, body: dict[str, Any] | None, good: set[int]
) -> dict[str, Any]:
    try:
        async with session.request(method, url, json=body) as response:
            document: dict[str, Any] = await response.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise LocalStackError(f"{method} {url} failed: {error}", hint="look into the log of `api`") from error
    if response.status not in good:
        message = document.get("error", {}).get("message", response.status)
        raise LocalStackError(f"{method} {url} was refused: {message}", hint="look into the log of `api`")
    return document
