"""`ecpmon up`: the embedded stack, the demo tenants, their past, and the live table."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from ecpmon.app.demo import ensure_demo_tenants
from ecpmon.app.history import import_history
from ecpmon.app.past import Past
from ecpmon.local.grafana import PORT as GRAFANA_PORT
from ecpmon.local.grafana import how_to_start
from ecpmon.local.ports import PortPlan
from ecpmon.local.stack import LocalStack, StackOptions
from ecpmon.local.supervisor import Message
from ecpmon.local.table import watch
from ecpmon.resources import data_dir


async def up(
    checkout: Path, ports: PortPlan, history: timedelta | None, console: Console, *, scrape_pods: bool = False
) -> None:
    """Run until Ctrl-C. Raises LocalStackError with a hint when something cannot be started or kept."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    messages: deque[Message] = deque(maxlen=50)
    progress = _Progress(console)
    options = StackOptions(checkout=checkout, environ=os.environ, ports=ports, scrape_pods=scrape_pods)
    stack = LocalStack(options, emit=messages.append, progress=progress.step)
    try:
        console.print("starting TimescaleDB, Prometheus, Alertmanager, the simulator and ecpmon …")
        starting = asyncio.create_task(stack.start())
        if not await _until(starting, stop):
            return
        urls = starting.result()
        if command := how_to_start(data_dir("grafana"), urls.prometheus, ports.postgres):
            console.print(f"Grafana is installed; this starts it on port {GRAFANA_PORT}:", soft_wrap=True)
            console.print(command, soft_wrap=True, markup=False, highlight=False)
        past = Past(stack.instance.folder, history, datetime.now(UTC))
        await ensure_demo_tenants(urls.api, console.print, past.promise)
        if history is not None and not await _until(asyncio.create_task(_tell(stack, past, console)), stop):
            return
        watching = asyncio.create_task(watch(urls, stop, messages, console))
        try:
            await stack.run_until(stop)
        finally:
            stop.set()
            await watching
    finally:
        console.print("stopping …")
        await stack.stop()
        console.print("stopped; the data stays, `make run` continues on it")


async def _until(task: asyncio.Task[object], stop: asyncio.Event) -> bool:
    """Wait for `task`; False (and the task cancelled) when `stop` comes first."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    await asyncio.wait({task})
    return False


async def _tell(stack: LocalStack, past: Past, console: Console) -> None:
    owed = past.owed()
    if owed is None:
        console.print("the tenants have their history already")
        return
    days = owed.duration / timedelta(days=1)
    with console.status(f"the simulator tells {days:g} days up to {owed.end:%Y-%m-%d %H:%M} UTC …") as status:
        total = await past.pay(
            owed,
            lambda owed: import_history(
                stack.database_url,
                stack.urls.simulator,
                owed.duration,
                lambda what, count: status.update(f"{what}: {count:,} observations stored"),
                owed.tenants,
                owed.end,
            ),
        )
    console.print(f"{total:,} observations of a past of {days:g} days are stored")


class _Progress:
    """Prints one line per step of the first fetch; called from another thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ("", -1)

    def step(self, what: str, done: int, total: int) -> None:
        tenth = done * 10 // total if total else 0
        if (what, tenth) != self._last:
            self._last = (what, tenth)
            share = f" {tenth * 10} %" if total else ""
            self._console.print(f"  {what}{share}")
