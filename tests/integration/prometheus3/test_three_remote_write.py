"""Prometheus 3 as a sender, also with remote write 2.0. An hour of it is that of the other Prometheus alone."""

from __future__ import annotations

import pytest

from tests.integration.test_remote_write_senders import *  # noqa: F403

del test_prometheus_loses_nothing_in_an_hour  # noqa: F821

pytestmark = pytest.mark.long


@pytest.fixture(params=["", "    protobuf_message: io.prometheus.write.v2.Request\n"], ids=["1.0", "2.0"])
def remote_write(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found
