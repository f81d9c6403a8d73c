from __future__ import annotations

import pytest

from tests.integration.alerts.test_promtool_gauges import *  # noqa: F403

pytestmark = pytest.mark.long
