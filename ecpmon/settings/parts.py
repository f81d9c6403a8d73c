"""What every part of the settings has in common. Parts are built as one, so that a start pays for no other."""

from typing import Any

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Part(BaseSettings):
    # A variable that is set to nothing is not set: compose files and unit files write `ECPMON_SIMULATOR_URL=`.
    # What is told of one that is wrong does not show it: secrets are mistyped, too.
    model_config = SettingsConfigDict(
        env_prefix="ECPMON_",
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        defer_build=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _blank_is_none(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Nothing but blanks in a setting that may be absent means that it is absent."""
        # One look at all of them: a validator of every field would take a start some milliseconds.
        fields = cls.model_fields

        def blank(name: str, value: Any) -> bool:
            return (
                isinstance(value, str)
                and not value.strip()
                and name in fields
                and fields[name].default is None
            )

        return {name: None if blank(name, value) else value for name, value in given.items()}


def plain_http(value: str | None) -> str | None:
    """An address as it is asked: without a last slash. Raises ValueError."""
    if value is not None and not value.startswith(("http://", "https://")):
        raise ValueError("must be an http:// or https:// URL")
    return value.rstrip("/") if value else value
