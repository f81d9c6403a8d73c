"""An installation without a mail server takes what it cannot send, and says so."""

from __future__ import annotations

from tests.integration.api.conftest import Service
from tests.integration.api.test_statement_mail import APRIL, recipients, sendings
from tests.integration.api.test_statements import a_march


async def test_statements_wait_for_a_mail_server(service: Service) -> None:
    name = await a_march(service)
    body = await recipients(service, name, "a@customer.example")
    assert [h["code"] for h in body["hints"]] == ["NO_MAIL_SERVER"]
    service.clock.set(APRIL)
    await service.runtime.work.closing.run_once()
    assert service.runtime.work.statement_delivery is None
    [waiting] = await sendings(service, name)
    assert (waiting["status"], waiting["attempts"]) == ("pending", 0)
