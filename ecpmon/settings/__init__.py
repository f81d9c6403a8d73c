"""Settings: the only reader of the environment.

Every field is `ECPMON_<NAME>`; a test checks docs/settings.md against this.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from ecpmon.settings.acting import Acting
from ecpmon.settings.measuring import Measuring
from ecpmon.settings.serving import DEFAULT_PORTS as DEFAULT_PORTS
from ecpmon.settings.serving import LOOPBACK as LOOPBACK
from ecpmon.settings.serving import Serving
from ecpmon.settings.serving import is_safe_url as is_safe_url
from ecpmon.settings.surrounding import Surrounding

# What the source documents call them: counts where ours is not set.
ALIASES: Final = {
    "database_url": "DATABASE_URL",
    "demo_database_url": "DEMO_DATABASE_URL",
    "kubeconfig": "KUBERNETES_CONFIG_PATH",
    "prometheus_url": "MONITORING_ENDPOINT",
    "redis_url": "REDIS_URL",
    "simulator_url": "K8S_SIMULATOR_URL",
}

# Folders of files that are named like variables and hold their values. Of the second systemd says where it is.
SECRETS: Final = ("ECPMON_SECRETS_DIR", "CREDENTIALS_DIRECTORY")


def _secrets_dir() -> Path | None:
    """The folder that is named, if one is. Raises SettingsError when it is not there."""
    name = next((name for name in SECRETS if os.environ.get(name)), None)
    if name is None:
        return None
    folder = Path(os.environ[name])
    if not folder.is_dir():
        raise SettingsError(f"{name}: {folder} is no folder")
    return folder


class _Aliases(PydanticBaseSettingsSource):
    """The environment by the names of the source documents."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return os.environ.get(ALIASES.get(field_name, "")) or None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return {field: os.environ[name] for field, name in ALIASES.items() if os.environ.get(name)}


# The page of settings has the fields of the last base first.
class Settings(Surrounding, Acting, Measuring, Serving):
    """Frozen settings of one `ecpmon serve` process."""

    model_config = SettingsConfigDict(defer_build=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, then our own variables, then those of the source documents, then files."""
        folder = _secrets_dir()
        files = () if folder is None else (SecretsSettingsSource(settings_cls, folder),)
        return init_settings, env_settings, _Aliases(settings_cls), *files

    def simulator_of(self, *, demo: bool) -> str | None:
        """URL of the simulated cluster that a mode deploys to."""
        if not demo:
            return self.simulator_url
        under = f"{self.simulator_url}/demo" if self.simulator_url else None
        return self.demo_simulator_url or under
