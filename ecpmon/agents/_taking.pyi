from ecpmon.agents.taking import Groups, Known, Strange

VERSION: int

def take(
    body: bytes,
    at: int,
    most: int,
    known: dict[bytes, Known],
    oldest: int,
    latest: int,
    groups: Groups,
    strange: Strange,
    /,
) -> int: ...
def take_v2(
    body: bytes,
    at: int,
    most: int,
    symbols: list[bytes],
    known: dict[bytes, Known],
    oldest: int,
    latest: int,
    groups: Groups,
    strange: Strange,
    /,
) -> int: ...
def symbols(body: bytes, at: int, most: int, found: list[bytes], /) -> int: ...
