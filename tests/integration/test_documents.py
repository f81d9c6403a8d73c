"""The documents hang together: everything they link to is there, and the site can be built of them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "README.ko.md", ROOT / "CONTRIBUTING.md"])


def links(page: Path) -> Iterator[tuple[str, str]]:
    """File and anchor of each link to a file of ours."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            file, _, anchor = target.partition("#")
            yield file, anchor


def anchors(page: Path) -> set[str]:
    """As forges make them of headings."""
    heads = re.findall(r"^#+ +(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", head.lower().replace("`", "")).strip().replace(" ", "-") for head in heads
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for file, anchor in links(page):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), file
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{file}#{anchor}"


def test_every_page_is_in_the_index() -> None:
    listed = {line.strip() for line in (DOCS / "index.md").read_text(encoding="utf-8").splitlines()}
    pages = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")}
    left = {page for page in pages - listed if not page.startswith("adr/")}
    assert left == {"index"}


def test_the_korean_readme_has_the_commands_and_pictures_of_the_english_one() -> None:
    """Those are run by a test (tests/acceptance/test_readme.py)."""
    one, other = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md"))
    for part in (r"```sh\n.*?```", r"docs/images/[\w-]+\.png"):
        assert re.findall(part, one, re.DOTALL) == re.findall(part, other, re.DOTALL) != []


@pytest.mark.long
def test_the_site_is_built_in_one_command() -> None:
    subprocess.run(["make", "docs"], cwd=ROOT, check=True, timeout=600)
    assert (ROOT / "build" / "docs" / "index.html").exists()
