"""What comes in is locked by hash, under licences that may, and the lock is what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release import licences
from release.licences import NoLicence, listed, page, refused
from release.locked import LOCK, ROOT, pins

LOCKED = {pin.name: pin for pin in pins(LOCK.read_text())}


def test_the_lock_has_what_is_declared_in_a_version_that_is_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for declared in map(Requirement, project["dependencies"]):
        pin = LOCKED[canonicalize_name(declared.name)]
        assert declared.specifier.contains(pin.version), pin


def test_the_lock_has_what_its_distributions_need_in_turn() -> None:
    """As those that are installed here tell it."""
    for name in LOCKED:
        for needed in map(Requirement, distribution(name).requires or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in LOCKED, f"{needed} of {name}: run `make lock`"


def test_the_lock_names_no_address_and_hashes_everything() -> None:
    text = LOCK.read_text()
    assert "://" not in text
    assert "index" not in text
    for pin in LOCKED.values():
        assert all(re.fullmatch(r"[0-9a-f]{64}", each) for each in pin.hashes), pin.name


@pytest.mark.parametrize(
    "line",
    ["click>=8 --hash=sha256:00", "click==8.5.1", "click==8.5.1 --hash=md5:00", "click @ file:///click.whl"],
)
def test_what_pins_nothing_is_no_line_of_a_lock(line: str) -> None:
    with pytest.raises(ValueError, match="click"):
        pins(line)


def test_every_distribution_has_a_licence_that_may_come_in_and_the_page_says_so() -> None:
    assert len(listed()) > 60
    assert licences.PAGE.read_text(encoding="utf-8") == page(), "run `make licences`"


@pytest.mark.parametrize(
    "bad", ["GPL-3.0-only", "AGPL-3.0-or-later", "MIT AND SSPL-1.0", "(MIT OR GPL-2.0-only)"]
)
def test_a_licence_that_is_not_listed_may_not_come_in(bad: str) -> None:
    assert len(refused(bad)) == 1


def test_a_licence_that_nobody_has_looked_at_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(licences.READ, "webencodings")
    with pytest.raises(NoLicence, match="webencodings"):
        licences.licence("webencodings")
