from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ecpmon.errors import LocalStackError
from ecpmon.local.apt import (
    AptPlatform,
    debian_mirror,
    detect_architecture,
    detect_platform,
    explain_failure,
    parse_sizes,
    render_conf,
    render_sources,
    watch_folder,
)

PLATFORM = AptPlatform("amd64", "http://mirror.test/debian/", Path("/keys.gpg"))


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        pytest.param(
            "http://sec.test/debian-security/|bookworm-security|main|Debian\n"
            "http://m.test/debian/|bookworm-updates|main|Debian\n"
            "http://m.test/debian/|bookworm|main|Debian\n",
            "http://m.test/debian/",
            id="the main archive among updates and security",
        ),
        pytest.param(
            "http://m.test/debian/|bookworm|main|\n", "http://m.test/debian/", id="before apt-get update"
        ),
        pytest.param(
            "http://m.test/debian/|bookworm|main|$(ORIGIN)\n", "http://m.test/debian/", id="older apt"
        ),
        pytest.param("http://m.test/ubuntu/|noble|main|Ubuntu\n", None, id="another distribution"),
        pytest.param("http://m.test/node/|nodistro|main|\n", None, id="a vendor's repository"),
        pytest.param("http://m.test/debian/|bookworm|contrib|Debian\n", None, id="not the main component"),
        pytest.param("", None, id="nothing configured"),
    ],
)
def test_the_mirror_is_the_systems_own_debian_archive(targets: str, expected: str | None) -> None:
    assert debian_mirror(targets) == expected


@pytest.mark.parametrize(("machine", "expected"), [("x86_64", "amd64"), ("aarch64", "arm64")])
def test_known_machines(machine: str, expected: str) -> None:
    assert detect_architecture(machine) == expected


def test_an_unknown_machine_is_told_what_to_do_instead() -> None:
    with pytest.raises(LocalStackError, match="riscv64") as caught:
        detect_architecture("riscv64")
    assert "compose file" in caught.value.hint


def test_a_system_without_apt_is_told_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(LocalStackError, match="has no apt-get") as caught:
        detect_platform()
    assert "ECPMON_DATABASE_URL" in caught.value.hint


def test_the_private_source_is_signed_and_of_one_suite() -> None:
    assert render_sources(PLATFORM) == (
        "deb [arch=amd64 signed-by=/keys.gpg target=Packages lang=none] http://mirror.test/debian/ trixie main\n"
    )


def test_the_private_configuration_touches_nothing_of_the_system() -> None:
    conf = render_conf(Path("/c"), PLATFORM, as_root=False)
    for line in (
        "#clear APT::Update::Post-Invoke;",  # docker-clean deletes the system's archives there
        "#clear APT::Default-Release;",
        'Dir::State::lists "/c/lists";',
        'Dir::State::status "/dev/null";',
        'Dir::Cache::archives "/c/archives";',
        'Dir::Etc::sourceparts "/dev/null";',
        'Dir::Etc::preferencesparts "/dev/null";',
    ):
        assert line in conf.splitlines()
    assert "Sandbox" not in conf
    assert 'APT::Sandbox::User "root";' in render_conf(Path("/c"), PLATFORM, as_root=True)


def test_sizes_come_from_the_uris_and_skip_everything_else() -> None:
    output = (
        "Reading package lists...\n"
        "'http://m.test/a_1%3a2_amd64.deb' a_1%3a2_amd64.deb 57680 SHA256:00\n"
        "'http://m.test/b_1_amd64.deb' b_1_amd64.deb 12 SHA256:00\n"
    )
    assert parse_sizes(output) == {"a_1%3a2_amd64.deb": 57680, "b_1_amd64.deb": 12}


@pytest.mark.parametrize(
    ("stderr", "hint"),
    [
        ("E: Write error - write (28: No space left on device)", "ECPMON_CACHE_DIR"),
        ("E: You don't have enough free space in /c/archives/.", "ECPMON_CACHE_DIR"),
        ("Err:1 http://m trixie InRelease\n  Could not resolve 'm'\nE: Failed to fetch http://m", "network"),
        ("W: GPG error: NO_PUBKEY 6ED0\nE: The repository 'http://m' is not signed.", "signature"),
        ("E: The repository 'http://m trixie Release' does not have a Release file.", "does not carry"),
        ("E: Unable to locate package postgresql-17", "does not carry"),
        ("E: something new", "afresh"),
    ],
)
def test_each_failure_says_what_to_do(stderr: str, hint: str) -> None:
    error = explain_failure(stderr, Path("/c"))
    assert hint in error.hint
    assert "fetching packages failed: " in error.message


def test_progress_ends_with_everything_and_never_exceeds_it(tmp_path: Path) -> None:
    (tmp_path / "from-an-earlier-try").write_bytes(b"x" * 500)
    seen: list[tuple[str, int, int]] = []
    with watch_folder(tmp_path, 100, lambda *step: seen.append(step)):
        (tmp_path / "a.deb").write_bytes(b"x" * 150)
    assert seen[0] == ("downloading", 0, 100)
    assert seen[-1] == ("downloading", 100, 100)
    assert all(done <= 100 for _, done, _ in seen)
