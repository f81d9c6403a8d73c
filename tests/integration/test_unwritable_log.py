"""A service whose log cannot be written serves all the same (issue 8: 658 of 677 pushes were answered 500)."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.integration.serving import serving

LINES = 300  # each of some hundred bytes: more than a pipe holds


@pytest.mark.parametrize("kind", ["a full disk", "closed", "a pipe nobody reads"])
async def test_the_service_starts_and_answers_as_ever(
    migrated_dsn: str, free_port: Callable[[], int], kind: str
) -> None:
    read, write = os.pipe()
    device = os.open("/dev/full", os.O_WRONLY)
    stderr = {"a full disk": device, "closed": -1, "a pipe nobody reads": write}[kind]
    os.set_inheritable(write, True)
    async with serving(migrated_dsn, free_port(), stderr=stderr) as service:
        for _ in range(LINES):
            # Without a demo database this is a refusal that is logged.
            status, body, headers = await service.get("/api/v1/tenants", **{"X-Demo-Mode": "true"})
            assert (status, body["error"]["code"]) == (503, "DATABASE_ERROR")
            assert int(headers["Retry-After"]) >= 1
        _, metrics, _ = await service.get("/metrics")
        lost = {line for line in metrics.splitlines() if line.startswith("ecpmon_log_lines_lost_total")}
        assert len(lost) == 3
        assert all(line.endswith(" 0.0") for line in lost) == (kind == "a pipe nobody reads")
        process = service.process
    os.close(device)
    os.close(read)
    os.close(write)
    assert process.returncode == 0, "it stops in good order, whoever still waits to be read"
    assert process.stdout is not None
    said = (await process.stdout.read()).decode()
    if kind == "a pipe nobody reads":
        assert said == ""
    else:
        assert said.count("stderr, where the log goes, cannot be written") == 1
