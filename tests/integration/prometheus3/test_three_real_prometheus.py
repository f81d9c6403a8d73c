from __future__ import annotations

import pytest

from tests.integration.collectors.test_real_prometheus import *  # noqa: F403

pytestmark = pytest.mark.long
