"""Whom statements are sent to, and what became of each message. The statement itself: `model.statement_documents`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ecpmon.api.answers.common import Hint
from ecpmon.openapi.declaring import TypedDict

Period = Literal["month", "quarter", "year"]


class StatementRecipients(TypedDict):
    """Nobody, when `changed_at` is null. `restatements`: later revisions are sent as well."""

    tenant_id: str
    recipients: list[str]
    periods: list[Period]
    restatements: bool
    changed_at: datetime | None
    changed_by: str | None
    hints: list[Hint]


class Sending(TypedDict):
    """A revision to one recipient. `outcome_unknown`: the server was given it, and whether it took it is not known."""

    sending_id: int
    month: Annotated[str, Field(examples=["2026-02"])]
    revision: int
    recipient: str
    message_id: str
    status: Literal["pending", "sent", "parked"]
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    first_try_at: datetime | None
    repeats: int
    finished_at: datetime | None
    last_status: int | None
    last_reason: str | None
    last_answer: str | None
    resent_at: datetime | None
    resent_by: str | None
    outcome_unknown: bool


class Sendings(TypedDict):
    tenant_id: str
    sendings: list[Sending]
