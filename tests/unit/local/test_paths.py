from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ecpmon.errors import LocalStackError
from ecpmon.local.paths import (
    ServiceUser,
    cache_dir,
    can_traverse,
    instance_dir,
    make_private_dir,
    make_public_dir,
)

STRANGER = ServiceUser("stranger", 64_321, 64_321, frozenset({64_321}))


@pytest.fixture
def world(shared_tmp: Path) -> Path:
    """A folder that everybody may enter."""
    return shared_tmp


def test_a_folder_below_a_private_one_cannot_be_entered_by_a_stranger(world: Path) -> None:
    inner = world / "private" / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o777)
    inner.parent.chmod(0o700)
    assert not can_traverse(inner, STRANGER)
    inner.parent.chmod(0o711)
    assert can_traverse(inner, STRANGER)


def test_the_owner_class_decides_alone_for_the_owner(world: Path) -> None:
    world.chmod(0o055)  # others may enter, the owner may not
    owner = ServiceUser("me", world.stat().st_uid, 64_321, frozenset())
    assert not can_traverse(world, owner)
    assert can_traverse(world, STRANGER)
    world.chmod(0o755)


def test_a_group_member_enters_by_the_group_bits(world: Path) -> None:
    world.chmod(0o750)
    member = ServiceUser("member", 64_321, 64_321, frozenset({64_321, world.stat().st_gid}))
    assert can_traverse(world, member)
    assert not can_traverse(world, STRANGER)


def test_folders_that_do_not_exist_yet_are_judged_by_what_is_above(world: Path) -> None:
    assert can_traverse(world / "not" / "there", STRANGER)
    world.chmod(0o700)
    assert not can_traverse(world / "not" / "there", STRANGER)


def test_without_privileges_to_drop_every_folder_will_do(world: Path) -> None:
    world.chmod(0o700)
    assert can_traverse(world, None)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"ECPMON_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/ecpmon"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/c"}, "/c/.cache/ecpmon"),
        ({"HOME": "/c"}, "/c/.cache/ecpmon"),
    ],
)
def test_the_cache_folder_is_the_first_that_is_named(environ: dict[str, str], expected: str) -> None:
    assert cache_dir(environ, None) == Path(expected)


def test_root_with_a_private_home_uses_the_shared_cache(world: Path) -> None:
    home = world / "root"
    home.mkdir(mode=0o700)
    shared = world / "shared"
    assert cache_dir({"HOME": str(home)}, STRANGER, system_cache=shared) == shared
    home.chmod(0o755)
    assert cache_dir({"HOME": str(home)}, STRANGER, system_cache=shared) == home / ".cache/ecpmon"


def test_a_chosen_cache_that_the_service_user_cannot_enter_is_refused(world: Path) -> None:
    world.chmod(0o700)
    with pytest.raises(LocalStackError, match="'stranger'") as caught:
        cache_dir({"ECPMON_CACHE_DIR": str(world)}, STRANGER)
    assert "/var/cache/ecpmon" in caught.value.hint


def test_the_data_stays_in_the_checkout_where_the_service_user_reaches_it(world: Path) -> None:
    checkout = world / "work"
    checkout.mkdir(mode=0o755)
    assert instance_dir(checkout, world / "cache", STRANGER) == checkout / ".ecpmon"


def test_two_unreachable_checkouts_of_one_name_have_separate_data(world: Path) -> None:
    checkouts = [world / side / "ecpmon" for side in ("a", "b")]
    for checkout in checkouts:
        checkout.mkdir(parents=True)
        checkout.chmod(0o700)
    first, second = (instance_dir(checkout, world / "cache", STRANGER) for checkout in checkouts)
    assert first.parent == second.parent == world / "cache" / "instances"
    assert first.name.startswith("ecpmon-")
    assert first != second
    assert instance_dir(checkouts[0], world / "cache", STRANGER) == first


def test_private_and_public_folders_ignore_a_careful_umask(world: Path) -> None:
    before = os.umask(0o077)
    try:
        public = make_public_dir(world / "a" / "b")
        private = make_private_dir(world / "a" / "p", None)
    finally:
        os.umask(before)
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    if os.geteuid() == 0:
        assert [stat.S_IMODE(p.stat().st_mode) for p in (public.parent, public)] == [0o755, 0o755]
