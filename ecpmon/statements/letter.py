"""The e-mail that carries a statement: its figures as text, and the PDF. Pure; the same statement is the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Final

from ecpmon.statements.look import Look
from ecpmon.statements.pdf import to_pdf
from ecpmon.statements.render import facts, state_line, title, verdict_sentence
from ecpmon.statements.service import Told
from ecpmon.statements.words import Words

_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_SUBJECT: Final = 200


@dataclass(frozen=True, slots=True)
class Envelope:
    """`key` names the message whenever it is sent; `at` is its date, `url` where the statement is read."""

    key: str
    sender: str
    recipient: str
    at: datetime
    url: str


def letter(told: Told, look: Look, envelope: Envelope) -> bytes:
    """The whole message, ASCII. Raises UnusableFont, UnusableLogo."""
    data = told.data()
    say = Words(look.language)
    message = EmailMessage(policy=SMTP)
    subject = title(data, say) + (f" ({state_line(data, say)})" if data.get("restates") else "")
    message["Subject"] = _one_line(subject)[:_SUBJECT]
    message["From"] = Address(display_name=_one_line(look.operator) or "ecpmon", addr_spec=envelope.sender)
    message["To"] = Address(addr_spec=envelope.recipient)
    message["Date"] = envelope.at
    message["Message-ID"] = f"<{envelope.key}@{envelope.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Ecp-Idempotency-Key"] = envelope.key
    message.set_content(_text(data, say, envelope.url), cte="base64")
    name = f"sla-{data['tenant_id']}-{data.get('of') or data['month']}.pdf"
    message.add_attachment(to_pdf(data, look), maintype="application", subtype="pdf", filename=name)
    message.set_boundary(f"=_{envelope.key}")
    return message.as_bytes()


def _one_line(text: str) -> str:
    return " ".join(_BREAKS.sub(" ", text).split())


def _text(data: Mapping[str, Any], say: Words, url: str) -> str:
    lines = [title(data, say), state_line(data, say), "", verdict_sentence(data, say), ""]
    lines += [f"{label}: {value}" for label, value in facts(data, say)]
    return "\n".join([*lines, "", url, f"{say('digest')}: {data['digest']}"]) + "\n"
