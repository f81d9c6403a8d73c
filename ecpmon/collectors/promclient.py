"""Range queries of a Prometheus-compatible store, several expressions in one of them. Blocking.

The only user of prometheus-api-client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from ecpmon.errors import MonitoringUnavailable
from ecpmon.isolation import storable

# Which of the expressions a series is of.
PART: Final = "ecpmon_part"
# Longer queries go into the body of a request: proxies bound addresses.
_LONGEST_ADDRESS: Final = 2_000
# Errors that say something about the query, and not that nobody is there to answer it.
_OF_THE_QUERY: Final = frozenset(
    {"bad_data", "execution", "internal", "timeout", "canceled", "not_acceptable", "422"}
)
# What Prometheus itself remarks on an expression or its series; whatever else it warns of is that data is missing.
_REMARK: Final = "PromQL "
_LONGEST_REASON: Final = 250


class Refused(Exception):
    """The store is there, and does not answer this question, or only in part."""


class TimedOut(Refused):
    """It did not answer in time; whether it is there is not known."""


@dataclass(frozen=True, slots=True)
class Range:
    """Every `step` seconds from `start` to `end`; samples older than `lookback` seconds are none."""

    start: float
    end: float
    step: float
    lookback: float


def joined(parts: Sequence[str]) -> str:
    """One expression with the series of all `parts`, each told apart by the label PART: its place in `parts`.

    As a balanced tree: `or` reads all that is to the left of it again.
    """
    marked = [
        f'label_replace({part}\n,"{PART}","{place}","{PART}","")' for place, part in enumerate(parts)
    ]  # a comment in an expression ends with its line
    return _tree(marked)


def _tree(parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({_tree(parts[:half])} or {_tree(parts[half:])})"


def told_apart(result: Sequence[Any], count: int) -> list[list[Any]]:
    """The series of each part. Raises MonitoringUnavailable for what is no matrix."""
    found: list[list[Any]] = [[] for _ in range(count)]
    for series in result:
        try:
            found[int(series["metric"][PART])].append(series)
        except (TypeError, KeyError, ValueError, IndexError) as error:
            raise MonitoringUnavailable("Prometheus sent a series that is none") from error
    return found


class _Session(requests.Session):
    """Long queries are sent as forms, which every store takes as well."""

    def request(  # type: ignore[override]
        self, method: Any, url: Any, params: Any = None, **more: Any
    ) -> requests.Response:
        if params and len(params.get("query", "")) > _LONGEST_ADDRESS:
            return super().request("POST", url, data=params, **more)
        return super().request(method, url, params=params, **more)


class PromClient:
    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        self._timeout = timeout
        self._document: Any = None
        # What the last answer said besides.
        self.remarks: list[str] = []
        session = _Session()
        session.trust_env = False
        session.hooks["response"].append(self._note)
        self._client = PrometheusConnect(
            url=url, headers=dict(headers), session=session, timeout=timeout, retry=0
        )

    def ask(self, parts: Sequence[str], when: Range) -> list[list[Any]]:
        """The series of each part.

        Raises Refused when the store says no, or warns that data is missing (which would falsify what is made of it),
        and MonitoringUnavailable when it is not there or what it sends is no answer.
        """
        self._document, self.remarks = None, []
        params = {"start": when.start, "end": when.end, "lookback_delta": f"{round(when.lookback * 1000)}ms"}
        # The client rounds what it is given as times, so the exact ones are among the parameters.
        begin = datetime.fromtimestamp(when.start, UTC)
        try:
            result = self._client.custom_query_range(
                joined(parts), begin, begin, f"{when.step:g}", params=params, timeout=self._timeout
            )
        except requests.ReadTimeout as error:
            raise TimedOut(f"no answer within {self._timeout:g} s") from error
        except (
            requests.RequestException,
            PrometheusApiClientException,
            ValueError,
            KeyError,
            TypeError,
        ) as error:
            if why := self._refusal():
                raise Refused(why) from error
            raise MonitoringUnavailable(f"Prometheus does not answer: {error}"[:_LONGEST_REASON]) from error
        self._look_at_warnings()
        if not isinstance(result, list):
            raise MonitoringUnavailable("Prometheus sent no matrix")
        return told_apart(result, len(parts))

    def _refusal(self) -> str | None:
        document = self._document
        if isinstance(document, dict) and document.get("status") == "error":
            kind = str(document.get("errorType"))
            if kind in _OF_THE_QUERY:
                return storable(f"{kind}: {document.get('error')}")[:_LONGEST_REASON]
        return None

    def _look_at_warnings(self) -> None:
        document = self._document if isinstance(self._document, dict) else {}
        warnings = [storable(str(w)) for w in document.get("warnings") or ()]
        missing = [w for w in warnings if not w.startswith(_REMARK)]
        if missing:
            raise Refused(f"data is missing: {'; '.join(missing)}"[:_LONGEST_REASON])
        # Infos come apart since Prometheus 3: of them nothing follows.
        self.remarks = [w for w in warnings if w.startswith("PromQL warning")]

    def _note(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """prometheus-api-client drops `warnings`; and JSON that was read here is not read again."""
        try:
            document = self._document = orjson.loads(response.content)
        except ValueError:
            return  # not JSON: the client reports the status
        response.json = lambda **_: document  # type: ignore[method-assign]
