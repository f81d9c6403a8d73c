from __future__ import annotations

import pytest

from tests.integration.collectors.test_native_histograms import *  # noqa: F403

pytestmark = pytest.mark.long
