"""Documents that a command is given: YAML or JSON with fields, such as a tenant's."""

from __future__ import annotations

import json
from typing import Any, TextIO

import click
import yaml

from ecpmon.sla.yamlstream import UNREADABLE

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Times stay the text that was written: JSON, as which a document is sent, has none."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML wants a class attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def fields_of(document: TextIO) -> dict[str, Any]:
    """What JSON can say of it. Raises click.ClickException, which names the document."""
    try:
        found = yaml.load(document, _Loader)  # noqa: S506 - a SafeLoader
        json.dumps(found, allow_nan=False)
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{document.name} is not UTF-8") from error
    except (yaml.YAMLError, *UNREADABLE) as error:
        raise click.ClickException(f"{document.name} is no usable YAML: {error}") from error
    if not isinstance(found, dict):
        raise click.ClickException(f"{document.name} holds no fields; see docs/contract.md")
    return found
