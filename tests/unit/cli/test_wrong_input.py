"""What commands are given that cannot be: a sentence that says what is wrong, and never a traceback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ecpmon.cli import cli

# Nobody answers there.
NOWHERE = "http://127.0.0.1:9"


def run(*arguments: str, url: str = NOWHERE, **environ: str) -> Result:
    return CliRunner(env={"ECPMON_URL": url, "ECPMON_TOKEN": None, **environ}).invoke(cli, arguments)


def refused(done: Result) -> str:
    """What is said; anything but a refusal in words fails."""
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (1, 2)
    return done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"name: !!timestamp soon", "no usable YAML"),
        (b"name: !!binary aGk=", "no usable YAML"),
        (b"name: .nan", "no usable YAML"),
        (b"? [a]\n: 1", "no usable YAML"),
        (b"name: \xff", "not UTF-8"),
        (b"- name", "holds no fields"),
        (b"", "holds no fields"),
    ],
)
def test_a_document_that_cannot_be_sent_is_named(text: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "tenant.yaml"
    path.write_bytes(text)
    for arguments in (("tenants", "create", str(path)), ("tenant", "size", "--file", str(path))):
        told = refused(run(*arguments))
        assert said in told
        assert "tenant.yaml" in told


def test_a_date_in_a_document_is_the_text_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "tenant.yaml"
    path.write_text("tenant_id: acme\ndescription: 2026-11-01\n", encoding="utf-8")
    # It is sent, and nobody is there.
    assert "--url or ECPMON_URL" in refused(run("tenants", "create", str(path)))


def test_a_token_s_file_that_holds_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(b"\xff\xfe")
    assert "holds no API token" in refused(run("tenants", "list", "--token-file", str(path)))


def test_a_metric_that_is_given_twice_is_refused_before_it_is_sent() -> None:
    done = run("push", "acme", "up=1", "cpu=3", "up=0")
    assert "up is given twice" in refused(done)
    assert done.exit_code == 2


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    """An address where something else answers."""
    for name in ("tenants", "tenants/acme"):
        (tmp_path / "api/v1" / name).mkdir(parents=True)
        (tmp_path / "api/v1" / name / "index.html").write_text("<h1>It works</h1>", encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_where_something_else_answers_that_is_said(page: str) -> None:
    assert "is no ecpmon" in refused(run("tenants", "list", url=page))


def test_what_is_tried_again_is_not_told_where_the_answer_stands() -> None:
    done = run("tenants", "list", "--output", "json")
    assert "--url or ECPMON_URL" in refused(done)
    assert done.stdout == ""
