"""What every part of the settings has in common. Parts are built as one, so that a start pays for no other."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Part(BaseSettings):
    # A variable that is set to nothing is not set: compose files and unit files write `ECPMON_SIMULATOR_URL=`.
    model_config = SettingsConfigDict(
        env_prefix="ECPMON_", frozen=True, extra="ignore", env_ignore_empty=True, defer_build=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _blank_is_none(cls, value: Any, info: ValidationInfo) -> Any:
        """Nothing but blanks in a setting that may be absent means that it is absent."""
        optional = info.field_name is not None and cls.model_fields[info.field_name].default is None
        return None if optional and isinstance(value, str) and not value.strip() else value


def plain_http(value: str | None) -> str | None:
    """An address as it is asked: without a last slash. Raises ValueError."""
    if value is not None and not value.startswith(("http://", "https://")):
        raise ValueError("must be an http:// or https:// URL")
    return value.rstrip("/") if value else value
