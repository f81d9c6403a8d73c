"""What a service's users do, and which numbers follow from it.

Sessions are a sum of a daily, a weekly and three faster waves whose phases come from the seed. A sum of
cosines has an exact integral, so that counters do not depend on how often they are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import cos, pi, sin
from typing import Final, NamedTuple

from ecpmon.simulator.model.hashing import digest, mix, unit
from ecpmon.simulator.model.objects import Condition, ServiceSpec
from ecpmon.simulator.model.times import DAY, HOUR, MINUTE, SECOND, Micros

ORIGIN: Final[Micros] = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z: near, so that floats stay fine
MEAN_LOAD: Final = 0.55
# amplitude, period, instant of the first peak after ORIGIN; the contact centres keep Korean hours (UTC+9).
_RHYTHM: Final = ((0.28, DAY, 5 * HOUR), (0.07, DAY // 2, 2 * HOUR), (0.08, 7 * DAY, 6 * DAY + 5 * HOUR))
_NOISE: Final = ((0.02, 47 * MINUTE), (0.02, 13 * MINUTE), (0.02, 211 * SECOND))
MAX_LOAD: Final = MEAN_LOAD + sum(w[0] for w in _RHYTHM) + sum(w[0] for w in _NOISE)

TARGET_UTILISATION: Final = 0.7  # of the pods when `sessions` sessions are open
REQUESTS_PER_SESSION: Final = 0.2  # per second
BASE_ERRORS: Final = 0.001
BASE_LATENCY_MS: Final = 60.0
TIMEOUT_MS: Final = 5000.0  # what a client waits for when nobody answers

_JITTER: Final[Micros] = 5 * SECOND  # measured values wobble from one such slot to the next


@dataclass(frozen=True, slots=True)
class Rhythm:
    """`waves` are (amplitude, angular frequency per second, phase); `key` seeds the measuring noise."""

    waves: tuple[tuple[float, float, float], ...]
    key: int


class Reading(NamedTuple):
    """One service at one instant: open sessions, requests/s, percent of requests, ms, share of errors.

    CPU goes beyond 100 % of what is requested where the limit lets it.
    """

    sessions: float
    rps: float
    cpu: float
    memory: float
    gpu: float
    latency_ms: float
    errors: float


@lru_cache(maxsize=65_536)
def rhythm(seed: int, tenant_id: str, service: str) -> Rhythm:
    """The waves of one service."""
    shift = (unit(seed, tenant_id, "shift") - 0.5) * 2 * HOUR
    waves = []
    for amplitude, period, peak in _RHYTHM:
        omega = 2 * pi * SECOND / period
        waves.append((amplitude, omega, -omega * (peak + shift) / SECOND))
    for number, (amplitude, period) in enumerate(_NOISE):
        phase = 2 * pi * unit(seed, tenant_id, service, "noise", number)
        waves.append((amplitude, 2 * pi * SECOND / period, phase))
    return Rhythm(tuple(waves), digest(seed, tenant_id, service, "jitter"))


def load(shape: Rhythm, at: Micros) -> float:
    """Part of the design sessions that is open at `at`: 0.04 … MAX_LOAD."""
    seconds = (at - ORIGIN) / SECOND
    value = MEAN_LOAD
    for amplitude, omega, phase in shape.waves:
        value += amplitude * cos(omega * seconds + phase)
    return value


def load_seconds(shape: Rhythm, at: Micros) -> float:
    """The integral of `load` from ORIGIN to `at`, in seconds."""
    seconds = (at - ORIGIN) / SECOND
    value = MEAN_LOAD * seconds
    for amplitude, omega, phase in shape.waves:
        value += amplitude / omega * (sin(omega * seconds + phase) - sin(phase))
    return value


def pod_sessions(spec: ServiceSpec) -> float:
    """Sessions one pod serves at full utilisation, so that the design load uses TARGET_UTILISATION."""
    return max(1, spec.sessions) / (max(1, spec.replicas) * TARGET_UTILISATION)


def utilisation(sessions: float, capacity: float, up: int) -> float:
    """Offered sessions over what the reachable pods can serve; above 1 is saturation."""
    return sessions / (capacity * up) if up else 0.0


def error_share(used: float, condition: Condition) -> float:
    """Share of requests that fail: everything without pods, what exceeds the capacity, and a burst."""
    if condition.up == 0:
        return 1.0
    share = BASE_ERRORS
    if condition.up < condition.desired:
        share += 0.02 * (condition.desired - condition.up) / condition.desired
    if used > 0.9:
        share += (min(used, 1.0) - 0.9) * 0.2
    if used > 1.0:
        share = 1.0 - (1.0 - share) / used
    return 1.0 - (1.0 - share) * (1.0 - condition.error_share)


def leak_fraction(condition: Condition, at: Micros) -> float:
    """How far a leak has filled the memory, 0 … 1."""
    if condition.leak_from is None:
        return 0.0
    return min(1.0, (at - condition.leak_from) / condition.leak_period)


def observe(spec: ServiceSpec, capacity: float, condition: Condition, shape: Rhythm, at: Micros) -> Reading:
    """Every number of one service at `at`; pure, and cheap enough to write months of history."""
    noise = mix(shape.key ^ (at // _JITTER * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF))
    wobble_cpu = (noise & 0xFFFF) / 65536 - 0.5
    wobble_latency = (noise >> 16 & 0xFFFF) / 65536 - 0.5
    wobble_memory = (noise >> 32 & 0xFFFF) / 65536 - 0.5
    part = load(shape, at)
    offered = spec.sessions * part
    used = utilisation(offered, capacity, condition.up)
    errors = error_share(used, condition)
    rps = offered * REQUESTS_PER_SESSION
    if condition.up == 0:
        idle = 5.0 + wobble_cpu if condition.alive else 0.0
        memory = 38.0 + wobble_memory if condition.alive else 0.0
        return Reading(0.0, rps, idle, memory, 0.0, TIMEOUT_MS, errors)
    busy = used + condition.cpu_spike * max(0.0, 1.0 - used)
    cpu = min(spec.most_cpu, (6.0 + 90.0 * busy) * (1.0 + 0.06 * wobble_cpu))
    leak = leak_fraction(condition, at)
    memory = 38.0 + 25.0 * min(1.5, part * used / TARGET_UTILISATION) + 2.0 * wobble_memory
    memory = min(100.0, memory + (99.0 - memory) * leak)
    gpu = min(100.0, (4.0 + 85.0 * used) * (1.0 + 0.06 * wobble_memory)) if spec.resources.gpu else 0.0
    latency = BASE_LATENCY_MS * (1.0 + leak * leak) / (1.0 - min(busy, 0.97))
    latency = min(TIMEOUT_MS, latency * (1.0 + 0.1 * wobble_latency) + condition.latency_ms)
    return Reading(offered * (1.0 - errors), rps, cpu, memory, gpu, latency, errors)


def storage_bytes(spec: ServiceSpec, at: Micros) -> float:
    """Bytes stored for a service: two GiB per session, growing by 0.2 % per day."""
    days = max(0.0, (at - ORIGIN) / DAY)
    return 2.0 * 1024**3 * max(1, spec.sessions) * (1.0 + 0.002 * days)
