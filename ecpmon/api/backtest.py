"""Trying a rule on a tenant's own history (api.md §5): the route, which imports the rest when it is asked."""

from __future__ import annotations

from aiohttp import web

from ecpmon.api.answers.trials import Trial, TrialBody
from ecpmon.api.routing import Permission, Routes

routes = Routes()


@routes.post(
    "/api/v1/tenants/{tenant_id}/alerts/test",
    Permission.OPERATE,
    body=TrialBody,
    answers={200: Trial},
)
async def backtest(request: web.Request) -> web.Response:
    """What a condition or burn-rate policy would have done on this tenant's history; nothing is saved."""
    from ecpmon.api.backtesting import backtested

    return await backtested(request)
