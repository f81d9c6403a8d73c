"""Kubernetes' quantities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.simulator.model.quantities import quantity, spelled

QUANTITIES = {"1": 1, "500m": 0.5, "1Gi": 1024**3, "2e3": 2000, "1.5Ki": 1536, "1E": 10**18, "nonsense": 0}


@pytest.mark.parametrize("text", QUANTITIES)
def test_quantities(text: str) -> None:
    assert float(quantity(text)) == QUANTITIES[text]


@given(st.integers(0, 10**9))
def test_spelled_quantities_read_back(amount: int) -> None:
    assert quantity(spelled("requests.memory", quantity(amount))) == amount
    assert quantity(spelled("requests.cpu", quantity(f"{amount}m"))) == quantity(f"{amount}m")
