from __future__ import annotations

import pytest

from tests.integration.test_cli_rules import *  # noqa: F403

pytestmark = pytest.mark.long
