"""A real browser for tests of pages: Debian's Chromium, driven by Playwright, and what it found wrong with a page."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Browser, Page, Request, async_playwright

from ecpmon.local.apt import detect_architecture
from ecpmon.local.packages import CHROMIUM, chromium_of, fetch_bundles
from ecpmon.local.paths import cache_dir, service_user
from tests.waiting import PATIENCE

# Its own has no Hangul: Korean is seen in the one that statements are printed in.
FONTS = Path(__file__).resolve().parents[1] / "fonts"


@dataclass
class Watched:
    """A page, and what happened on it: addresses that were asked for, and what the browser complained of."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._ask)
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _ask(self, request: Request) -> None:
        if not request.url.startswith("data:"):
            self.asked.append(request.url)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """One browser without a window. It is fetched when it is first needed."""
    cache = cache_dir(os.environ, service_user())
    fetch_bundles(cache, [CHROMIUM], detect_architecture(), lambda *_: None)
    program, environment = chromium_of(cache)
    with TemporaryDirectory() as folder:
        own = Path(folder) / "fonts.conf"
        include = f"<include>{environment['FONTCONFIG_FILE']}</include>"
        own.write_text(f"<fontconfig>{include}<dir>{FONTS}</dir><cachedir>{folder}</cachedir></fontconfig>\n")
        async with _launched(program, environment | {"FONTCONFIG_FILE": str(own)}) as found:
            yield found


@asynccontextmanager
async def _launched(program: Path, environment: dict[str, str]) -> AsyncIterator[Browser]:
    async with async_playwright() as driver:
        found = await driver.chromium.launch(
            executable_path=program,
            env={**environment},
            timeout=PATIENCE * 1000,
            args=["--disable-gpu"],
        )
        try:
            yield found
        finally:
            await found.close()


async def watched(browser: Browser, *, javascript: bool = True, **more: Any) -> Watched:
    """A new page of nobody that is known yet. `more`: of Playwright's contexts, such as `color_scheme`."""
    context = await browser.new_context(java_script_enabled=javascript, **more)
    context.set_default_timeout(PATIENCE * 1000)
    return Watched(await context.new_page())
