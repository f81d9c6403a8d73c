"""Where the files beside the package are: `sql/`, `rules/`, `grafana/`, `fonts/`, `ui/`.

In a wheel they sit in `ecpmon/_data/`; in a checkout beside the package.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_PACKAGE = Path(__file__).resolve().parent


@cache
def data_dir(name: str) -> Path:
    """Folder `name` (`sql`, `rules`, `grafana`, `fonts`, `ui`) of this installation.

    Raises FileNotFoundError when the installation lacks it.
    """
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"this installation of ecpmon has no {name}/ folder; reinstall the package")


def yaml_of(text: str) -> Any:
    """The document of one of our own files; by libyaml where it is there, which is ten times as fast.

    Raises yaml.YAMLError.
    """
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are the safe one
