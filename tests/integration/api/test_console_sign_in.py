"""Signing in to the console at an issuer, by authorisation code with PKCE, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser import browser, watched
from tests.integration.api.conftest import Service
from tests.integration.api.test_console import faults
from tests.openid import AUDIENCE, Provider, providing
from tests.waiting import PATIENCE


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
