"""What became of the batches of a commit: counted, what was refused named, changes of state told once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ecpmon.model.ingest import Batch, IngestResult, Rejection, Rejections, Screened, StateChange
from ecpmon.model.samples import Block, Entry, is_storable
from ecpmon.storage.evidence import HeadChange
from ecpmon.storage.rows import Placed
from ecpmon.storage.series import Row
from ecpmon.storage.telling import is_change


def number_of(entry: Entry, tenants: Mapping[str, int]) -> int | None:
    """The number of the live tenant that a frame is about. None: it is gone, though its name may be another's now."""
    number = tenants.get(entry.tenant_id)
    return number if entry.tenant in (None, number) else None


def results_of(
    screened: Sequence[Screened],
    placed: Iterable[Placed],
    refused: frozenset[int],
    changes: Iterable[HeadChange],
    tenants: Mapping[str, int],
) -> list[IngestResult]:
    """One per batch. `placed`: what is about live `tenants`; `refused`: of whom nothing was stored."""
    names = {key: name for name, key in tenants.items()}
    told = [change for change in (_state_change(each, names) for each in changes) if change]
    last = _last_batches([each.batch for each in screened], tenants) if told else {}
    by_entry = {id(each.entry): each for each in placed}
    return [
        _result(each, by_entry, refused, [change for change in told if last[change.tenant_id] == n])
        for n, each in enumerate(screened)
    ]


def _last_batches(batches: Sequence[Batch], tenants: Mapping[str, int]) -> dict[str, int]:
    """By tenant, the last batch that holds something of it: with that its changes are told once, its values known."""
    return {
        f.tenant_id: n for n, b in enumerate(batches) for f in b.frames if number_of(f, tenants) is not None
    }


def _result(
    screened: Screened, placed: Mapping[int, Placed], refused: frozenset[int], changes: list[StateChange]
) -> IngestResult:
    """What became of a batch: what was taken is counted, what was not is named. `placed` by the entry's `id`."""
    accepted, rejected = 0, screened.rejected
    kept: list[Entry] = []
    for entry in screened.batch.frames:
        own = placed.get(id(entry))
        row = None
        if own is not None:
            kept.append(entry)
            row = None if own.tenant in refused else own.row
            if row is not None and row.places is None:
                accepted += entry.size
                continue
        rejected = rejected or Rejections()
        accepted += row.taken * len(entry.instants) if row else 0
        _reject(rejected, entry, row, Rejection.QUARANTINED if own else Rejection.UNKNOWN_TENANT)
    return IngestResult(
        accepted,
        tuple(rejected.named) if rejected else (),
        tuple(changes),
        tuple(kept),
        rejected.counts if rejected else {},
    )


def _state_change(change: HeadChange, names: dict[int, str]) -> StateChange | None:
    if not is_change(change):
        return None
    before = change.before.state if change.before else None
    return StateChange(names[change.tenant], change.after.since, change.after.state, before)


def _reject(rejected: Rejections, entry: Entry, row: Row | None, reason: Rejection) -> None:
    """Name the samples that have no number; without a row all of them, for `reason`."""
    if isinstance(entry, Block):
        keys, times = entry.shape.keys, len(entry.instants)
    else:
        keys, times = tuple(sample.key for sample in entry.samples), 1
    for place, key in enumerate(keys):
        if row is None:
            rejected.add(entry.tenant_id, key.metric_name, reason, times)
        elif row.numbers[place] is None:
            why = Rejection.TOO_MANY_SERIES if is_storable(key) else Rejection.BAD_NAME
            rejected.add(entry.tenant_id, key.metric_name, why, times)
