"""Requests at a steady pace, whatever becomes of them; a process of its own.

    python -m bench.steady PORT FILE PER_SECOND SECONDS CONNECTIONS WARM_UP

FILE is a pickle: a list of whole requests, sent round and round. Each connection comes from an address of its own and
waits for its answer; a time is from when a request was due, so that what waits for a connection counts. One line of
JSON: requests and milliseconds at p50 and p99 after WARM_UP seconds; the p99 of those before; of the slowest of all:
milliseconds, what was asked, seconds since the start; answers by status.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

SLOWEST: Final = 8


async def run(
    port: int, requests: list[bytes], rate: float, seconds: float, connections: int, warm_up: float
) -> dict[str, object]:
    waited: list[tuple[float, str, float]] = []
    statuses: Counter[int] = Counter()
    start, due = time.perf_counter(), iter(range(int(rate * seconds)))

    async def send(number: int) -> None:
        address = (f"127.0.{1 + number // 200}.{2 + number % 200}", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=address, limit=1 << 26)
        for turn in due:
            at = start + turn / rate
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            asked = requests[turn % len(requests)]
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            # Without a length it is chunked.
            await (reader.readexactly(int(length)) if length else reader.readuntil(b"\r\n0\r\n\r\n"))
            taken = round((time.perf_counter() - at) * 1000, 2)
            waited.append((taken, asked.partition(b" HTTP")[0].decode(), round(turn / rate, 1)))
            statuses[int(head[9:12])] += 1
        writer.close()

    await asyncio.gather(*(send(number) for number in range(connections)))
    waited.sort()
    before, after = ([ms for ms, _, at in waited if (at < warm_up) is warm] for warm in (True, False))
    return {
        "requests": len(after),
        "p50_ms": after[len(after) // 2],
        "p99_ms": after[int(len(after) * 0.99)],
        "warm_up_p99_ms": before[int(len(before) * 0.99)] if before else None,
        "slowest": waited[: -SLOWEST - 1 : -1],
        "statuses": dict(statuses),
    }


if __name__ == "__main__":
    port, file, *numbers = sys.argv[1:]
    rate, seconds, connections, warm_up = map(float, numbers)
    stored = pickle.loads(Path(file).read_bytes())
    print(json.dumps(asyncio.run(run(int(port), stored, rate, seconds, int(connections), warm_up))))
