"""What is tested of a real Prometheus, once more with Prometheus 3 from the distribution's next release."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from ecpmon.local.apt import detect_architecture
from ecpmon.local.packages import PROMETHEUS_NEWER, Binaries, fetch_binaries, fetch_bundles
from ecpmon.local.paths import cache_dir, service_user


def _ignored(_what: str, _done: int, _total: int) -> None:
    """Nobody waits for it."""


@pytest.fixture(scope="session")
def stack_binaries() -> Binaries:
    cache = cache_dir(os.environ, service_user())
    architecture = detect_architecture()
    fetch_bundles(cache, [PROMETHEUS_NEWER], architecture, _ignored)
    programs = PROMETHEUS_NEWER.folder(cache, architecture) / "usr/bin"
    ours = fetch_binaries(cache, _ignored)
    return replace(ours, prometheus=programs / "prometheus", promtool=programs / "promtool")
