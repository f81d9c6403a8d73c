// All tenants as they are: the summary, and then what the socket tells of it.
import { get, listen } from './api.js';
import { batch, computed, signal } from './view.js';

const WORST = { violated: 0, at_risk: 1, no_data: 2, meeting: 3 };

// By tenant_id, each row a signal of its own: a row that changes draws itself, not the others.
const rows = signal(new Map());
export const asOf = signal(null);
// When the server was lost; null: it is there.
export const lostAt = signal(null);
export const trouble = signal(null);
// Whether the rows have been there.
export const isLoaded = signal(false);
// Grows when tenants come or go, or one's place changes.
const order = signal(0);

const placeOf = (row) => [WORST[row.status] ?? 4, row.error_budget.remaining_percent ?? 100, row.tenant_id];
const before = (a, b) => {
  const [one, other] = [placeOf(a), placeOf(b)];
  const at = one.findIndex((part, i) => part !== other[i]);
  return at < 0 ? 0 : one[at] < other[at] ? -1 : 1;
};
// Worst first, as the API sorts them.
export const sorted = computed(() => {
  order.value;
  return [...rows.value.values()].sort((a, b) => before(a.peek(), b.peek()));
});
export const rowOf = (tenantId) => rows.value.get(tenantId);
export const counts = computed(() => {
  order.value;
  const found = { violated: 0, at_risk: 0, no_data: 0, meeting: 0, down: 0 };
  for (const row of rows.value.values()) {
    found[row.peek().status] += 1;
    if (row.peek().state === 'down') found.down += 1;
  }
  return found;
});

function take(changed, gone = []) {
  batch(() => {
    const known = rows.peek();
    let moved = gone.length > 0;
    for (const name of gone) known.delete(name);
    for (const row of changed) {
      const old = known.get(row.tenant_id);
      if (old === undefined) {
        known.set(row.tenant_id, signal(row));
        moved = true;
      } else {
        const was = old.peek();
        if (JSON.stringify(was) === JSON.stringify(row)) continue;
        moved ||= before(was, row) !== 0 || was.state !== row.state;
        old.value = row;
      }
    }
    if (moved) order.value += 1;
  });
}

// The socket first: what changes while the summary is on its way is not missed.
async function load(told) {
  try {
    const summary = await get('api/v1/sla/summary');
    const there = new Set(summary.tenants.map((row) => row.tenant_id));
    take(summary.tenants, [...rows.peek().keys()].filter((name) => !there.has(name)));
    for (const message of told) take(message.tenants, message.gone);
    batch(() => {
      asOf.value = summary.as_of;
      lostAt.value = null;
      trouble.value = null;
      isLoaded.value = true;
    });
  } catch (error) {
    trouble.value = error;
  }
}

// Returns how to end it.
export function follow() {
  rows.value = new Map();
  isLoaded.value = false;
  let waiting = [];
  const heard = (message) => {
    if (waiting) waiting.push(message);
    else take(message.tenants, message.gone);
    if (message.as_of) asOf.value = message.as_of;
  };
  const opened = async () => {
    waiting = [];
    await load(waiting);
    waiting = null;
  };
  // Until the socket is there the summary is: a page that shows something is worth a second question.
  load([]);
  return listen('ws/fleet', { opened, heard, lost: (at) => (lostAt.value ??= at) });
}
