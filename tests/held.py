"""Answers that come late, on purpose: kept from a page, whole, until a test gives them."""

from __future__ import annotations

from collections.abc import Callable

from playwright.async_api import APIResponse, Page, Request, Route

from tests.waiting import until


class Held:
    """Requests of a page that `holds` finds: answered by the server at once, the answer kept until it is given."""

    def __init__(self, page: Page, holds: Callable[[Request], bool], most: int) -> None:
        self._page, self._holds, self._most = page, holds, most
        self.asked: list[Request] = []
        self._answers: list[tuple[Route, APIResponse]] = []

    @classmethod
    async def of(cls, page: Page, holds: Callable[[Request], bool], most: int = 100) -> Held:
        held = cls(page, holds, most)
        await page.route("**/api/v1/**", held._take)
        return held

    async def _take(self, route: Route) -> None:
        if len(self.asked) < self._most and self._holds(route.request):
            self.asked.append(route.request)
            self._answers.append((route, await route.fetch()))
        else:
            await route.fallback()

    async def came(self, n: int) -> None:
        async def there() -> bool:
            return len(self._answers) >= n

        await until(there, f"{n} are asked for")

    async def given(self, at: int = 0) -> None:
        """The answer to the request at this place, until the page has dealt with it."""
        route, answer = self._answers[at]
        async with self._page.expect_event("requestfinished", lambda request: request == route.request):
            await route.fulfill(response=answer)
        # Its body is read, and then drawn, by what stands before this.
        await self._page.evaluate(
            "new Promise(done => setTimeout(() => requestAnimationFrame(() => setTimeout(done))))"
        )


def path_is(end: str, method: str = "GET") -> Callable[[Request], bool]:
    return lambda request: request.method == method and request.url.partition("?")[0].endswith(end)
