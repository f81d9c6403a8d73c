"""Signing in to the console at an issuer, by authorisation code with PKCE, and staying signed in, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser import Watched, browser, watched
from tests.integration.api.conftest import Service
from tests.integration.api.test_console import faults
from tests.integration.api.test_sockets import push
from tests.openid import AUDIENCE, Provider, providing
from tests.waiting import PATIENCE, until


@pytest.fixture
async def provider(free_port: Callable[[], int]) -> AsyncIterator[Provider]:
    async with providing(free_port()) as made:
        yield made


@pytest.fixture
def service_settings(provider: Provider) -> dict[str, Any]:
    return {"oidc_issuer": provider.issuer, "oidc_audience": AUDIENCE, "oidc_client_id": "console"}


async def test_a_person_signs_in_at_the_issuer_and_sees_what_the_token_gives(
    service: Service, provider: Provider
) -> None:
    name = await service.tenant()
    now = service.clock.now()

    def given(asked: dict[str, str]) -> dict[str, str]:
        """An access token for somebody else, and an ID token that is ours."""
        identity = provider.token(now, nonce=asked["nonce"], sub="kim")
        return {
            "access_token": provider.token(now, aud="another"),
            "id_token": identity,
            "token_type": "Bearer",
        }

    provider.signs = given
    await service.runtime.jobs._turn("issuer")
    async with browser() as chromium:
        shown = await watched(chromium)
        expect.set_options(timeout=PATIENCE * 1000)
        page = shown.page
        await page.goto(f"{service.url}/#/tenants/{name}")
        button = page.get_by_role("button", name="Sign in at 127.0.0.1")
        await button.wait_for()
        assert await faults(shown) == []
        await button.click()
        # Where one wanted to go, with nothing of the code left in the address.
        await expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        assert page.url == f"{service.url}/#/tenants/{name}"
        await expect(page.get_by_role("link", name="Metrics")).to_be_visible()
        # Who comes with an answer that this tab did not ask for is not signed in by it.
        await page.get_by_role("button", name="Sign out").click()
        await page.goto(f"{service.url}/?code=code-0&state=somebody-elses")
        await expect(page.get_by_role("alert")).to_contain_text("OIDC")
        assert {url for url in shown.asked if not url.startswith((service.url, provider.issuer))} == set()


async def test_a_token_is_renewed_before_it_ends_by_the_same_person_and_nothing_is_lost(
    service: Service, provider: Provider
) -> None:
    name = await service.tenant()
    used: list[str] = []

    def given(asked: dict[str, str]) -> dict[str, str]:
        return {"id_token": provider.token(service.clock.now(), nonce=asked["nonce"]), "refresh_token": "r-0"}

    def renewed(refresh_token: str) -> dict[str, str] | None:
        """Each is good once, and comes without the nonce."""
        if refresh_token != f"r-{len(used)}":
            return None
        used.append(refresh_token)
        return {"id_token": provider.token(service.clock.now()), "refresh_token": f"r-{len(used)}"}

    provider.signs, provider.renews = given, renewed
    await service.runtime.jobs._turn("issuer")
    async with browser() as chromium:
        shown = await signed_in_there(await watched(chromium), service)
        page = shown.page
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
        await page.get_by_label("Search").fill(name)
        # It is renewed, so nobody is told that it ends.
        assert await page.get_by_text("Signed in until").count() == 0
        end = None
        for turn in (1, 2):
            first, end = await kept(page), await its_end(page, end)
            service.clock.advance(3_540)
            # When it is renewed next follows from what the API says of it.
            async with page.expect_response("**/api/v1/session"):
                await page.clock.fast_forward(3_541_000)
            await until(lambda n=turn: renewals(used, n), "it is renewed")  # type: ignore[misc]
            await page.wait_for_function("was => sessionStorage.getItem('ecpmon.token') !== was", arg=first)
        end = await its_end(page, end)
        # The token that the socket was opened with is over; with the newer one it is opened again.
        await service.runtime.jobs._turn("sockets")
        service.clock.advance(5)
        await push(service, name, up=0)
        await page.clock.run_for(20_000)
        await expect(row).to_contain_text("down")
        await expect(page.get_by_label("Search")).to_have_value(name)
        # A browser that slept wakes up with a token that is over, and asks for another.
        service.clock.advance(7_200)
        async with page.expect_response(lambda said: said.url.endswith("/api/v1/session") and said.ok):
            await row.get_by_role("link").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        await expect(page.get_by_role("region", name="Availability")).to_be_visible()
        assert len(used) == 3
        await its_end(page, end)
        # What the issuer does not renew ends, and that is said.
        provider.renews = lambda _: None
        await page.clock.fast_forward(3_541_000)
        await expect(page.get_by_role("alert").filter(has_text="Signed in until")).to_be_visible()
        assert await faults(shown) == []


async def renewals(used: list[str], n: int) -> bool:
    return len(used) == n


async def its_end(page: Page, but: float | None = None) -> float:
    """When the token ends, in milliseconds of the page's clock, once the page has learnt it: it acts by it only then.
    `but`: the end of the one before."""
    found: list[float] = []

    async def learnt() -> bool:
        end = await page.evaluate("import('/ui/session.js').then(session => session.ends.peek())")
        found[:] = [end] if end not in (None, but) else []
        return bool(found)

    await until(learnt, "it is known when the token ends")
    return found[0]


async def kept(page: Page) -> str:
    return str(await page.evaluate("sessionStorage.getItem('ecpmon.token')"))


async def signed_in_there(shown: Watched, service: Service) -> Watched:
    """At the issuer, with a clock of the page's own."""
    expect.set_options(timeout=PATIENCE * 1000)
    await shown.page.clock.install()
    await shown.page.goto(f"{service.url}/")
    await shown.page.clock.run_for(1_000)
    await shown.page.get_by_role("button", name="Sign in at 127.0.0.1").click()
    await shown.page.get_by_role("heading", name="All tenants").wait_for()
    return shown


async def test_without_anything_to_renew_it_with_its_end_is_said_beforehand(
    service: Service, provider: Provider
) -> None:
    name = await service.tenant()
    provider.signs = lambda asked: {"id_token": provider.token(service.clock.now(), nonce=asked["nonce"])}
    await service.runtime.jobs._turn("issuer")
    async with browser() as chromium:
        shown = await signed_in_there(await watched(chromium), service)
        page = shown.page
        await page.goto(f"{service.url}/#/tenants/{name}/metrics")
        await expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        await expect(page.get_by_text("Signed in until")).to_be_visible()
        assert await page.get_by_role("alert").count() == 0
        service.clock.advance(3_400)
        await page.clock.fast_forward(3_400_000)
        warning = page.get_by_role("alert").filter(has_text="Signed in until")
        await expect(warning).to_be_visible()
        assert await faults(shown) == []
        # Where one was, with a new token.
        first = await kept(page)
        await warning.get_by_role("button", name="Sign in again").click()
        # On the way it is the issuer's page, which keeps none.
        await page.wait_for_function(
            "was => ![null, '', was].includes(sessionStorage.getItem('ecpmon.token'))", arg=first
        )
        await expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        assert page.url == f"{service.url}/#/tenants/{name}/metrics"
        # A typed token that ends says so, too.
        await service.token("brief", ["viewer"], None, expires_at=service.clock.now() + timedelta(minutes=2))
        await page.get_by_role("button", name="Sign out").click()
        await page.clock.run_for(1_000)
        await page.get_by_label("Token").fill(service.tokens["brief"])
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await page.clock.run_for(1_000)
        await expect(page.get_by_role("alert").filter(has_text="Signed in until")).to_be_visible()
