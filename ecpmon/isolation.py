"""One tenant's trouble stops no other: work is done for all at once, and one by one when that fails.

Whoever fails alone is quarantined and tried again later; meanwhile the others are done together again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeVar

import structlog

from ecpmon.errors import EcpError, NoLongerLeader
from ecpmon.ports.quarantine import Culprit, Quarantine

_log = structlog.get_logger(__name__)
_EXCERPT: Final = 300
# That many at once, and nobody else left, is no tenant's own trouble.
_EVERYBODY: Final = 3
# As sql/queries/quarantine.sql has it.
LONGEST_PAUSE: Final = timedelta(hours=1)
R = TypeVar("R")
# The work for these tenants; by tenant what came of it.
Work = Callable[[list[str]], Awaitable[Mapping[str, R]]]
Then = Callable[[Mapping[str, R]], Awaitable[Mapping[str, Exception]]]


def is_passing(error: Exception) -> bool:
    """Whether it says that something is away, and nothing about the one it happened to."""
    return isinstance(error, EcpError) and error.retryable


def reason_of(error: Exception) -> str:
    """A line for people; always storable."""
    return storable(error.message if isinstance(error, EcpError) else f"{type(error).__name__}: {error}")[
        :_EXCERPT
    ]


def storable(text: str) -> str:
    """What somebody else sent, as the database takes it: without NUL and halves of characters."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def is_due(at: datetime, now: datetime) -> bool:
    """A clock that stepped back makes nobody wait for longer than the longest pause."""
    return not now < at <= now + LONGEST_PAUSE


def trace_of(error: Exception) -> Exception | None:
    """For the log: where a bug came from. What was raised on purpose says enough."""
    return None if isinstance(error, EcpError) else error


class Isolation:
    """Of one job. Everything it remembers is in the quarantine, so any process can go on."""

    def __init__(self, quarantine: Quarantine, job: str) -> None:
        self._quarantine = quarantine
        self._job = job
        # Parts of tenants may be quarantined since before this process began.
        self._may_hold_parts = True

    async def together(
        self, tenants: Collection[str], work: Work[R], now: datetime, then: Then[R] | None = None
    ) -> dict[str, R]:
        """`work` for all tenants at once, or one by one when that fails; what came of it, without who failed.

        `then`: what is done with it for each by itself; it gives back for whom that failed.

        Raises what `work` does when something is away, and when it fails for each of several tenants: that is
        nobody's own trouble.
        """
        return await self._run(tenants, work, now, at_once=True, then=then)

    async def survey(self, tenants: Collection[str], work: Work[R]) -> dict[str, R]:
        """For readers: `work` for whom it can be done for, at once or one by one. Who is quarantined is left out."""
        held = {name for name, subject in await self._quarantine.held(self._job) if not subject}
        fine = [name for name in tenants if name not in held]
        try:
            return dict(await work(fine))
        except Exception as error:  # noqa: BLE001 - whose it is, the job tells
            await self._raise_if_passing(error)
        results: dict[str, R] = {}
        await self._alone(fine, work, results)
        return results

    async def settle_parts(
        self, broken: Mapping[Culprit, str], sound: Collection[Culprit] | None, now: datetime
    ) -> None:
        """Note what of tenants is `broken`, while the rest of them goes on; `sound` parts are out of quarantine.

        `sound` None: everything else is.
        """
        if not broken and not self._may_hold_parts:
            return
        held = await self._quarantine.held(self._job)
        fresh = {c: why for c, why in broken.items() if c not in held or is_due(held[c], now)}
        if fresh:
            await self._quarantine.note(self._job, fresh, now)
        if healed := [c for c in held if c not in broken and (sound is None or c in sound)]:
            await self._quarantine.heal(self._job, healed)
        self._may_hold_parts = bool(broken) or any(c not in healed for c in held)

    async def one_by_one(self, tenants: Collection[str], work: Work[R], now: datetime) -> dict[str, R]:
        """The same for work that is done tenant by tenant anyway."""
        return await self._run(tenants, work, now, at_once=False)

    async def _run(
        self,
        tenants: Collection[str],
        work: Work[R],
        now: datetime,
        *,
        at_once: bool,
        then: Then[R] | None = None,
    ) -> dict[str, R]:
        if not tenants:
            return {}
        quarantined = await self._quarantine.held(self._job)
        held = {name: due for (name, subject), due in quarantined.items() if not subject}
        fine = [name for name in tenants if name not in held]
        alone = [name for name in tenants if name in held and is_due(held[name], now)]
        results: dict[str, R] = {}
        if at_once:
            try:
                results.update(await work(fine) if fine else {})
                # Whom it left out, it failed for.
                alone = [name for name in fine if name not in results] + alone
            except Exception as error:  # noqa: BLE001 - whose it is, is found out below
                await self._raise_if_passing(error)
                _log.warning("isolating", job=self._job, tenants=len(fine), error=reason_of(error))
                alone = [*fine, *alone]
        else:
            alone = [*fine, *alone]
        troubles = await self._alone(alone, work, results)
        if len(troubles) >= _EVERYBODY and not results and not held:
            raise next(iter(troubles.values()))
        if then is not None:
            troubles.update(await then(results))
        await self._settle(troubles, [n for n in held if n in results and n not in troubles], now)
        return results

    async def _alone(self, names: list[str], work: Work[R], results: dict[str, R]) -> dict[str, Exception]:
        troubles: dict[str, Exception] = {}
        for name in names:
            try:
                results.update(await work([name]))
            except Exception as error:  # noqa: BLE001 - it is told in the quarantine
                await self._raise_if_passing(error)
                troubles[name] = error
        return troubles

    async def is_own(self, error: Exception) -> bool:
        """Whether it is the trouble of who it happened to, and not that something is away.

        A statement that takes too long looks the same, but then the database answers others. Whose term is over is
        refused whatever it does, for whomever.
        """
        if isinstance(error, NoLongerLeader):
            return False
        return not is_passing(error) or await self._quarantine.reachable()

    async def _raise_if_passing(self, error: Exception) -> None:
        if not await self.is_own(error):
            raise error

    async def _settle(self, troubles: Mapping[str, Exception], healed: list[str], now: datetime) -> None:
        for name, error in troubles.items():
            _log.error(
                "quarantined", job=self._job, tenant=name, error=reason_of(error), exc_info=trace_of(error)
            )
        if troubles:
            noted: dict[Culprit, str] = {(name, ""): reason_of(e) for name, e in troubles.items()}
            await self._quarantine.note(self._job, noted, now)
        if healed:
            _log.info("out_of_quarantine", job=self._job, tenants=healed)
            await self._quarantine.heal(self._job, [(name, "") for name in healed])
