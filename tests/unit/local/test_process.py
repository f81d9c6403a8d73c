from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from ecpmon.errors import LocalStackError
from ecpmon.local import process
from ecpmon.local.deaths import RestartPolicy, explain_exit
from ecpmon.local.paths import service_user
from ecpmon.local.process import ChildSpec, launch_argv, log_tail, rotate_log, signal_group, spawn
from tests.waiting import PATIENCE


async def never() -> bool:
    return False


def run_to_end(spec: ChildSpec) -> tuple[int, str]:
    process = spawn(spec)
    code = process.wait(timeout=PATIENCE)
    return code, spec.log_file.read_text()


def test_output_goes_to_the_log_after_what_is_there(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    for text in ("first", "second"):
        spec = ChildSpec(
            "x", ("sh", "-c", f"echo {text}; echo wrong >&2"), log, never, env={"PATH": "/usr/bin:/bin"}
        )
        assert run_to_end(spec)[0] == 0
    assert log.read_text() == "first\nwrong\nsecond\nwrong\n"


def test_a_child_gets_its_environment_folder_session_and_nothing_else(tmp_path: Path) -> None:
    spec = ChildSpec(
        "x", ("sh", "-c", 'pwd; echo "$ONLY-$HOME"; ps -o sid= -p $$'), tmp_path / "x.log", never,
        env={"PATH": "/usr/bin:/bin", "ONLY": "this"}, cwd=tmp_path,
    )  # fmt: skip
    folder, variables, session = run_to_end(spec)[1].split()
    assert folder == str(tmp_path)
    assert variables == "this-"
    assert int(session) != os.getsid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
def test_as_root_the_child_runs_as_the_service_user_and_keeps_no_group_of_ours(tmp_path: Path) -> None:
    user = service_user()
    assert user is not None
    spec = ChildSpec("x", ("id", "-G"), tmp_path / "x.log", never, env={"PATH": "/usr/bin:/bin"}, user=user)
    groups = {int(group) for group in run_to_end(spec)[1].split()}
    assert groups == user.groups


def test_a_program_that_does_not_exist_says_so_in_the_log(tmp_path: Path) -> None:
    code, log = run_to_end(ChildSpec("x", ("/no/such/program",), tmp_path / "x.log", never))
    assert code == 127
    assert log == "cannot run /no/such/program: No such file or directory\n"


def test_a_child_of_a_dead_parent_does_not_start(tmp_path: Path) -> None:
    argv = launch_argv(("touch", str(tmp_path / "started")), None, signal.SIGKILL)
    argv[4] = "1"  # as if the parent had died and init had taken over before the launcher ran
    pid = os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin"})
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 143
    assert not (tmp_path / "started").exists()


def test_a_log_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalStackError, match="cannot write the log file"):
        spawn(ChildSpec("x", ("true",), tmp_path / "file" / "x.log", never))


def test_a_large_log_is_moved_aside_and_a_small_one_stays(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("12345")
    rotate_log(log, limit=5)
    assert log.exists()
    rotate_log(log, limit=4)
    assert not log.exists()
    assert (tmp_path / "x.log.1").read_text() == "12345"


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("".join(f"line {n}\n" for n in range(10_000)))
    assert log_tail(log, 2) == "line 9998\nline 9999"
    assert log_tail(tmp_path / "none") == ""


def test_signalling_a_group_that_is_gone_is_no_error(tmp_path: Path) -> None:
    spec = ChildSpec("x", ("true",), tmp_path / "x.log", never, env={"PATH": "/usr/bin:/bin"})
    process = spawn(spec)
    process.wait(timeout=PATIENCE)
    signal_group(process.pid, signal.SIGTERM)


@pytest.mark.parametrize(
    ("code", "tail", "expected"),
    [
        (-9, "", "db was killed (SIGKILL)"),
        (1, "oops", "db ended with exit code 1"),
        (0, "", "db ended with exit code 0"),
        (70, "", "db was ended by its watchdog: its event loop stood still, and its log says where"),
        (-6, "PANIC: could not write: No space left on device", "db stopped because the disk is full"),
    ],
)
def test_an_end_is_explained(code: int, tail: str, expected: str) -> None:
    assert explain_exit("db", code, tail) == expected


def test_backoff_doubles_up_to_its_limit() -> None:
    policy = RestartPolicy(first_backoff=0.5, max_backoff=3)
    assert [policy.backoff(n) for n in (1, 2, 3, 4, 9)] == [0.5, 1, 2, 3, 3]


def test_a_child_starts_without_its_log_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(process, "rotate_log", full)
    told: list[str] = []
    spec = ChildSpec("x", ("echo", "hello"), tmp_path / "x.log", never, env={"PATH": "/usr/bin:/bin"})
    assert spawn(spec, told.append).wait(timeout=60) == 0
    assert told == [f"x runs without a log until its next start: the disk of {spec.log_file} is full"]
    assert not spec.log_file.exists()
