"""Every answer of the simulator is as its document says: schemathesis over all of it, by requests that fit and by
requests that do not. No answer is a 5xx.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz import outside
from tests.fuzz.conftest import simulator
from tests.fuzz.served import Served, Watched, watching
from tests.fuzz.test_simulator import SERVICE

# What the document says of a request is necessary, and not always enough: a name may be reserved, of two fields one is
# to be given, time does not run backwards, and who orders a failure may not go that far.
ACCEPTED: Final = ["2xx", "302", "304", "403", "404", "409", "422"]
# Its answer is as long as what is asked for; what it is, is tested in `test_sim_app`.
ENDLESS: Final = "POST /api/v1/history"
NAMES: Final = ("asked", "asked-2", "asked-3")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Watched]]:
    with watching() as watched, simulator(tmp_path_factory.mktemp("simulator")) as made:
        for name in NAMES:
            assert made.ask("PUT", f"/api/v1/tenants/{name}", {"services": [SERVICE]})[0] == 201
        yield made, watched


def run(
    served: tuple[Served, Watched], folder: Path, count: int, phases: list[str], seconds: int | None = None
) -> None:
    simulator, watched = served
    values = {"tenant_id": NAMES, "file": ("docs.js", "nothing.js")}
    lines = outside.config(count, phases, values, ACCEPTED, seconds=seconds)
    lines += [*outside.operation(ENDLESS), "enabled = false"]
    outside.run(simulator.url, "\n".join(lines), folder)
    assert watched.taken() == []


def test_every_answer_of_the_simulator_is_documented(served: tuple[Served, Watched], tmp_path: Path) -> None:
    run(served, tmp_path, 3, ["examples", "fuzzing"])


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_every_answer_of_the_simulator_is_documented_at_length(
    served: tuple[Served, Watched], tmp_path: Path
) -> None:
    run(served, tmp_path, 100, ["examples", "coverage", "fuzzing", "stateful"], 600)
