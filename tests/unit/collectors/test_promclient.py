"""What a store answers: what is taken, what is refused by it, and what means that nobody is there."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import requests

from ecpmon.collectors.promclient import PART, PromClient, Range, Refused, TimedOut, joined
from ecpmon.errors import MonitoringUnavailable

WHEN = Range(1_790_000_000.5, 1_790_000_030.5, 15, 37.5)


class Wire(requests.adapters.BaseAdapter):
    """Answers with `status` and `body`, or raises it; `sent`: the requests."""

    def __init__(self) -> None:
        super().__init__()
        self.status, self.body, self.sent = 200, orjson.dumps(matrix()), list[requests.PreparedRequest]()
        self.error: Exception | None = None

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:  # type: ignore[override]
        self.sent.append(request)
        if self.error:
            raise self.error
        answer = requests.Response()
        answer.status_code, answer._content, answer.request, answer.url = self.status, self.body, request, ""
        return requests.hooks.dispatch_hook("response", request.hooks, answer)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Nothing is open."""


def matrix(**more: Any) -> dict[str, Any]:
    series = [{"metric": {PART: "1", "a": "b"}, "values": [[1, "2"]]}]
    return {"status": "success", "data": {"resultType": "matrix", "result": series}, **more}


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def client(wire: Wire) -> PromClient:
    client = PromClient("http://store", {}, 5)
    client._client._session.mount("http://store", wire)
    return client


def test_series_come_back_to_the_expression_they_are_of(wire: Wire, client: PromClient) -> None:
    none, own = client.ask(["x", "y"], WHEN)
    assert (none, len(own)) == ([], 1)
    [sent] = wire.sent
    assert sent.method == "GET"
    for part in ("start=1790000000.5", "end=1790000030.5", "step=15", "lookback_delta=37500ms"):
        assert part in str(sent.url)


def test_a_long_query_is_sent_as_a_form(wire: Wire, client: PromClient) -> None:
    client.ask(["x" * 3000, "y"], WHEN)
    [sent] = wire.sent
    assert (sent.method, "?" in str(sent.url)) == ("POST", False)
    assert "lookback_delta=37500ms" in str(sent.body)


def test_expressions_are_joined_as_a_tree_and_a_comment_ends_with_its_line() -> None:
    query = joined(["a # x", "b", "c", "d"])
    assert query.count(" or ") == 3
    assert query.startswith("((label_replace(a # x\n,")


@pytest.mark.parametrize("kind", ["bad_data", "execution", "internal", "timeout"])
def test_what_the_store_says_of_the_query_is_a_refusal(kind: str, wire: Wire, client: PromClient) -> None:
    wire.status = 422
    wire.body = orjson.dumps({"status": "error", "errorType": kind, "error": "many\x00to-many"})
    with pytest.raises(Refused, match=f"{kind}: many\ufffdto-many"):
        client.ask(["x", "y"], WHEN)


@pytest.mark.parametrize(
    ("status", "body"),
    [(503, b"Service Unavailable"), (401, b"{}"), (200, b"<html>"), (200, b"{}"), (200, b'{"data": {"result": 3}}'),
     (200, b'{"data": {"result": [{"metric": {}}]}}'),
     (503, orjson.dumps({"status": "error", "errorType": "unavailable", "error": "TSDB not ready"}))],
)  # fmt: skip
def test_what_is_no_answer_means_that_nobody_is_there(
    status: int, body: bytes, wire: Wire, client: PromClient
) -> None:
    wire.status, wire.body = status, body
    with pytest.raises(MonitoringUnavailable):
        client.ask(["x", "y"], WHEN)


def test_what_comes_too_late_is_told_apart_from_nobody(wire: Wire, client: PromClient) -> None:
    wire.error = requests.ReadTimeout("late")
    with pytest.raises(TimedOut):
        client.ask(["x"], WHEN)
    wire.error = requests.ConnectionError("nobody")
    with pytest.raises(MonitoringUnavailable):
        client.ask(["x"], WHEN)


def test_remarks_on_series_cost_nothing_and_missing_data_is_a_refusal(wire: Wire, client: PromClient) -> None:
    remark = 'PromQL warning: encountered a mix of histograms and floats for metric name "x"'
    wire.body = orjson.dumps(
        matrix(warnings=[remark, "PromQL info: metric might not be a counter"], infos=["i"])
    )
    assert len(client.ask(["x", "y"], WHEN)) == 2
    assert client.remarks == [remark]
    wire.body = orjson.dumps(matrix(warnings=["remote read failed for one store"]))
    with pytest.raises(Refused, match="data is missing: remote read failed"):
        client.ask(["x", "y"], WHEN)
