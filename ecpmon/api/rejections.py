"""What is told of pushed samples that were not taken: which, why, and the same in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ecpmon.api.answers.monitoring import RejectedMetric
from ecpmon.korean.messages import said_to
from ecpmon.model.ingest import RejectedSample, Rejection

SENTENCES: Final[Mapping[Rejection, str]] = {
    Rejection.UNKNOWN_TENANT: "the tenant is not there any more",
    Rejection.TOO_MANY_SERIES: "the tenant has as many series as it may have; known ones are still taken",
    Rejection.NOT_A_NUMBER: "must be a finite number",
    Rejection.OUT_OF_RANGE: "is beyond what is stored: from -1e100 to 1e100",
    Rejection.BAD_NAME: "a metric's name has 1 to 100 printable characters",
    Rejection.BAD_TIMESTAMP: "the timestamp is no time of ISO 8601 that can be stored",
    Rejection.TOO_OLD: "lies further back than measurements are kept",
    Rejection.IN_THE_FUTURE: "lies more than 5 minutes in the future",
    Rejection.QUARANTINED: "rows of this tenant that cannot be read are in the way; its detail says which",
}


def rejected_metrics(refused: Iterable[RejectedSample], headers: Mapping[str, str]) -> list[RejectedMetric]:
    """To whoever sent these headers."""
    return [
        {"metric": r.metric, "reason": r.reason, "message": said_to(headers, SENTENCES[r.reason])}
        for r in refused
    ]
