"""What is said of a setting that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ecpmon.settings import Settings


def test_a_setting_that_is_wrong_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ecpmon_smtp_port").write_text("hunter2")
    monkeypatch.setenv("ECPMON_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("ECPMON_PACK_AFTER_HOURS", "hunter3")
    with pytest.raises(ValidationError) as wrong:
        Settings()
    told = str(wrong.value)
    assert "smtp_port" in told
    assert "pack_after_hours" in told
    assert "hunter" not in told
