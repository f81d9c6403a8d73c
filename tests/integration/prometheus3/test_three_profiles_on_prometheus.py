from __future__ import annotations

import pytest

from tests.integration.collectors.test_profiles_on_prometheus import *  # noqa: F403

pytestmark = pytest.mark.long
