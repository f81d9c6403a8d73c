"""The issuer's keys, fetched over HTTP, held, and fetched anew: by the clock, and for a key that is not known.

Invariants: whoever's key is held waits for nobody; one fetch is under way at a time, however many wait for it, and two
begin at least `REST` apart, whatever is sent to us; keys are held for `max_age` while the issuer does not answer, and
replaced as a whole when it does; what is fetched is bounded in size and in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import aiohttp
import orjson
import structlog

from ecpmon.errors import IdentityProviderUnavailable
from ecpmon.identity.claims import refused
from ecpmon.identity.keys import Header, Key, KeySet, NoKeys
from ecpmon.ports.tokens import Endpoints
from ecpmon.settings import is_safe_url

_log = structlog.get_logger(__name__)
# Between two fetches.
REST: Final = timedelta(seconds=5)
# For discovery and keys together.
PATIENCE: Final = 5.0
MAX_DOCUMENT: Final = 256 * 1024
_DISCOVERY: Final = "/.well-known/openid-configuration"


class Failed(Exception):
    """The issuer gave us no keys; the text says why, to anybody."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where keys come from. `jwks_url` None: where the discovery document says. `signs_in`: people do there."""

    issuer: str
    jwks_url: str | None = None
    signs_in: bool = False
    algorithms: frozenset[str] = frozenset({"RS256", "ES256", "EdDSA"})
    allow_http: bool = False
    refresh: timedelta = timedelta(minutes=5)
    max_age: timedelta = timedelta(days=1)


class Issuer:
    """One per process. `on_loss`: a key is not the issuer's any more; `on_fetch`: it was asked, and answered or not."""

    def __init__(self, session: aiohttp.ClientSession, source: Source, now: Callable[[], datetime]) -> None:
        self.source = source
        self.on_loss: Callable[[], None] = lambda: None
        self.on_fetch: Callable[[bool], None] = lambda _: None
        self._session = session
        self._now, self._began = now, now()
        self._keys: KeySet | None = None
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._failure: str | None = None
        self._fetching: asyncio.Task[None] | None = None
        # Where people sign in, as its discovery document said last; None: not known, or nobody does here.
        self.endpoints: Endpoints | None = None

    async def key_for(self, header: Header) -> Key:
        """Raises Unauthorized when the issuer has no such key, IdentityProviderUnavailable when that is not known."""
        found = self._choose(header)
        if found is None and (self._fetching is not None or self._past(self._tried_at, REST)):
            await self.fetch()
            found = self._choose(header)
        if found is not None:
            return found
        if self._held() is None or self._failure is not None:
            raise IdentityProviderUnavailable(
                "the issuer of this token does not answer, so that it cannot be checked"
            )
        raise refused("unknown_key", "this token is signed with a key that its issuer does not publish")

    async def refresh(self) -> None:
        """Call it every few seconds: fetches the keys when it is time to, sooner after a failure."""
        due = self._failure is not None or self._past(self._fetched_at, self.source.refresh)
        if due and self._past(self._tried_at, REST):
            await self.fetch()

    async def fetch(self) -> None:
        """Ask the issuer, or wait for who is asking it."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(), name="issuer's keys")
        # Who stops waiting takes nothing from the others.
        await asyncio.shield(self._fetching)

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})

    def age(self) -> float:
        """Seconds since the issuer told its keys, or we began to ask."""
        return (self._now() - (self._fetched_at or self._began)).total_seconds()

    @property
    def away(self) -> bool:
        """Whether it gave no answer when it was last asked."""
        return self._failure is not None

    def told(self) -> dict[str, Any]:
        """For `/ready`: an issuer that is away makes nobody less ready to answer who holds another token."""
        keys = self._held()
        return {
            "ok": True,
            "issuer": self.source.issuer,
            "answers": self._fetched_at is not None and not self.away,
            "keys": len(keys) if keys is not None else 0,
            "fetched_at": self._fetched_at,
            "error": self._failure,
        }

    def _choose(self, header: Header) -> Key | None:
        keys = self._held()
        return None if keys is None else keys.choose(header)

    def _held(self) -> KeySet | None:
        return None if self._past(self._fetched_at, self.source.max_age) else self._keys

    def _past(self, since: datetime | None, span: timedelta) -> bool:
        # Of a clock that was set back nobody knows how long ago something was.
        return since is None or not timedelta() <= self._now() - since < span

    async def _fetch(self) -> None:
        self._tried_at = self._now()
        try:
            keys = await self._fetched()
        except Failed as error:
            self._failed(str(error))
        else:
            self._got(keys)
        finally:
            self._fetching = None

    def _failed(self, why: str) -> None:
        if self._failure is None:
            _log.warning("issuer_does_not_answer", issuer=self.source.issuer, error=why)
        self._failure = why
        self.on_fetch(False)

    def _got(self, keys: KeySet) -> None:
        before, self._keys = self._keys, keys
        if self._failure is not None or before is None:
            _log.info("issuer_answers", issuer=self.source.issuer, keys=len(keys))
        self._failure, self._fetched_at = None, self._now()
        if before is not None and keys.lacks(before):
            self.on_loss()
        self.on_fetch(True)

    async def _fetched(self) -> KeySet:
        """Raises Failed."""
        try:
            async with asyncio.timeout(PATIENCE):
                return KeySet.of(await self._get(await self._place_of_keys()), self.source.algorithms)
        except TimeoutError:
            raise Failed(f"no answer within {PATIENCE:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            _log.debug("issuer_failed", error=repr(error))
            raise Failed("no connection, or one that broke") from None
        except NoKeys as error:
            raise Failed(str(error)) from None

    async def _place_of_keys(self) -> str:
        """Raises Failed."""
        if self.source.jwks_url and not self.source.signs_in:
            return self.source.jwks_url
        try:
            document = await self._discovered()
        except Failed:
            # Who signs in has to wait; whose token it is can be told all the same.
            if self.source.jwks_url is None:
                raise
            return self.source.jwks_url
        self.endpoints = self._endpoints(document) if self.source.signs_in else None
        return self.source.jwks_url or self._place(document, "jwks_uri")

    def _endpoints(self, document: dict[str, Any]) -> Endpoints | None:
        try:
            places = [self._place(document, f"{name}_endpoint") for name in ("authorization", "token")]
        except Failed as error:
            _log.warning("nobody_can_sign_in", issuer=self.source.issuer, error=str(error))
            return None
        return Endpoints(*places)

    async def _discovered(self) -> dict[str, Any]:
        """What the issuer says of itself. Raises Failed."""
        url = self.source.issuer.rstrip("/") + _DISCOVERY
        try:
            document = orjson.loads(await self._get(url))
        except orjson.JSONDecodeError:
            document = None
        if not isinstance(document, dict) or document.get("issuer") != self.source.issuer:
            raise Failed("the discovery document is not the issuer's")
        return document

    def _place(self, document: dict[str, Any], name: str) -> str:
        """A URL that the document names. Raises Failed."""
        found = document.get(name)
        if not isinstance(found, str) or not is_safe_url(found, allow_http=self.source.allow_http):
            what = "keys" if name == "jwks_uri" else f"its {name}"
            raise Failed(f"the discovery document names no safe place for {what}")
        return found

    async def _get(self, url: str) -> bytes:
        """Raises Failed, TimeoutError, aiohttp.ClientError, OSError."""
        body = bytearray()
        async with self._session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                raise Failed(f"answered with status {answer.status}")
            async for chunk in answer.content.iter_chunked(16_384):
                body += chunk
                if len(body) > MAX_DOCUMENT:
                    raise Failed(f"answered with more than {MAX_DOCUMENT} bytes")
        return bytes(body)
