"""Measurements of many tenants, written into the tables as ingestion and rollups leave them, and into a peer.

Three metrics a minute for a day, and their hours for 30 days. A value is a formula, so nobody has to hold the samples.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from bench.observations import _field, _varint, tenant_name
from ecpmon.storage.database import Database

METRICS = {"cpu_usage": "cpu", "memory_usage": "memory", "response_time": "response"}
# A little more than a day: who asks a while later still finds one.
MINUTES = 1500
_HOURS = 30 * 24
_CYCLE = 101
_SERIES = """
INSERT INTO series (tenant, data_source, metric_type, metric_name)
SELECT t.id, 'push', m.type, m.name FROM tenants t CROSS JOIN unnest($1::text[], $2::text[]) AS m (type, name)
ORDER BY t.id, m.name
"""
# From $1 on, the 5-minute buckets from $2 to $3.
_FIVE_MINUTES = """
INSERT INTO rollup_5m (bucket, tenant, place, series, total, low, high, points)
SELECT bucket, tenant, 0, array_agg(id ORDER BY id), array_agg(total ORDER BY id), array_agg(low ORDER BY id),
       array_agg(high ORDER BY id), ARRAY[5]
FROM (
SELECT $1::timestamptz + make_interval(mins => b * 5) AS bucket, s.tenant, s.id, sum(v) AS total, min(v) AS low,
       max(v) AS high
FROM (SELECT id, tenant, dense_rank() OVER (ORDER BY tenant) - 1 AS place,
             row_number() OVER (PARTITION BY tenant ORDER BY metric_name) - 1 AS metric FROM series) AS s
CROSS JOIN generate_series($2::int, $3::int - 1) AS b
CROSS JOIN LATERAL (
  SELECT ((b * 5 + m) * 7 + s.place * 13 + s.metric * 29) % 101 AS v FROM generate_series(0, 4) AS m
) AS minutes
GROUP BY b, s.tenant, s.id
) AS rolled GROUP BY bucket, tenant
"""
_HOURLY = """
INSERT INTO rollup_1h (bucket, tenant, place, series, total, low, high, points)
SELECT $1::timestamptz + make_interval(hours => h), s.tenant, 0, array_agg(s.id ORDER BY s.id),
       array_agg(v * 60 ORDER BY s.id), array_agg(v ORDER BY s.id), array_agg(v ORDER BY s.id), ARRAY[60]
FROM series s CROSS JOIN generate_series($2::int, $3::int - 1) AS h
CROSS JOIN LATERAL (SELECT (h * 7 + s.id) % 101 AS v) AS hours
GROUP BY h, s.tenant
"""
_FRAMES = """
INSERT INTO frames (ts, tenant, series, samples)
SELECT $1::timestamptz + make_interval(mins => m, secs => 30), s.tenant, array_agg(s.id),
       array_agg(((m * 7 + s.place * 13 + s.metric * 29) % 101)::float8)
FROM (SELECT id, tenant, dense_rank() OVER (ORDER BY tenant) - 1 AS place,
             row_number() OVER (PARTITION BY tenant ORDER BY metric_name) - 1 AS metric FROM series) AS s
CROSS JOIN generate_series($2::int, $3::int - 1) AS m
GROUP BY m, s.tenant
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """`tenants` tenants, each with the metrics above, the last minute before `end` (a multiple of 5 minutes)."""

    tenants: int
    end: datetime

    @property
    def start(self) -> datetime:
        return self.end - timedelta(minutes=MINUTES)

    def requests(self) -> Iterator[bytes]:
        """Remote-write bodies, uncompressed: 50 tenants and two hours in each, so that many are small enough."""
        values = [b"\x09" + struct.pack("<d", float(v)) for v in range(_CYCLE)]
        first = int((self.start + timedelta(seconds=30)).timestamp() * 1000)
        for minute in range(0, MINUTES, 120):
            times = [b"\x10" + _varint(first + m * 60_000) for m in range(minute, minute + 120)]
            for group in range(0, self.tenants, 50):
                body = bytearray()
                for tenant in range(group, min(group + 50, self.tenants)):
                    for metric, name in enumerate(METRICS):
                        place = tenant * 13 + metric * 29
                        samples = b"".join(
                            _field(2, values[((minute + m) * 7 + place) % _CYCLE] + at)
                            for m, at in enumerate(times)
                        )
                        body += _field(1, _labels(name, tenant) + samples)
                yield bytes(body)


def _labels(metric: str, tenant: int) -> bytes:
    pairs = (("__name__", metric), ("tenant_id", tenant_name(tenant)))
    return b"".join(_field(1, _field(1, k.encode()) + _field(2, v.encode())) for k, v in pairs)


async def load_measured(database: Database, measured: Measured) -> None:
    """For the tenants that are there."""
    await database.execute(_SERIES, list(METRICS.values()), list(METRICS))
    # A question to the database may take a minute.
    step = max(1, 60_000 // max(measured.tenants, 1_000))
    for first in range(0, MINUTES // 5, step):
        await database.execute(_FIVE_MINUTES, measured.start, first, min(first + step, MINUTES // 5))
    month = measured.end.replace(minute=0) - timedelta(hours=_HOURS)
    for first in range(0, _HOURS, step):
        await database.execute(_HOURLY, month, first, min(first + step, _HOURS))
    step = max(1, step // 2)
    for first in range(MINUTES - 120, MINUTES, step):
        await database.execute(_FRAMES, measured.start, first, min(first + step, MINUTES))
    for table in ("series", "rollup_5m", "rollup_1h", "frames"):
        await database.execute(f"VACUUM ANALYZE {table}")
