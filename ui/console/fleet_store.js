// All tenants as they are: the summary, and then what the socket tells of it.
import { get, listen } from './api.js';
import { before, inOrder, placeOf } from './fleet_order.js';
import { batch, computed, signal } from './view.js';

// By tenant_id, each row a signal of its own: a row that changes draws itself, not the others.
const rows = signal(new Map());
export const asOf = signal(null);
// When the server was lost; null: it is there.
export const lostAt = signal(null);
// Since when the server cannot ask its database; null: it can.
export const awaySince = signal(null);
export const trouble = signal(null);
// Whether the rows have been there.
export const isLoaded = signal(false);
// What they are sorted by, and whether the other way round; kept while one looks elsewhere.
export const order = signal({ by: 'worst', down: false });
// Grows when tenants come or go, or one's place changes.
const moves = signal(0);

export const sorted = computed(() => {
  moves.value;
  return inOrder([...rows.value.values()], order.value);
});
export const rowOf = (tenantId) => rows.value.get(tenantId);
export const counts = computed(() => {
  moves.value;
  const found = { violated: 0, at_risk: 0, no_data: 0, meeting: 0, down: 0 };
  for (const row of rows.value.values()) {
    found[row.peek().status] += 1;
    if (row.peek().state === 'down') found.down += 1;
  }
  return found;
});

const isMoved = (was, row) =>
  was.status !== row.status || was.state !== row.state ||
  before(placeOf(was, order.peek().by), placeOf(row, order.peek().by)) !== 0;

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
        moved ||= isMoved(was, row);
        old.value = row;
      }
    }
    if (moved) moves.value += 1;
  });
}

// A summary that was not given is asked for again.
const AGAIN_MS = 3_000;
// So long the socket waits for the first answer, which it would only delay.
const FIRST_MS = 1_000;

// The summary, and then what the socket tells of it. Of two that are under way none replaces one that was asked for later, and none is
// taken once it is over: it may be another person's, or of the other database. What the socket tells is taken at once, and once more
// after the summary, which may be older: what changes while it is on its way is not missed.
class Following {
  #asked = 0;
  #taken = 0;
  // What was told since the newest summary was asked for; null: none is under way.
  #told = null;
  #isOver = false;
  #timer = null;

  load = async () => {
    clearTimeout(this.#timer);
    const turn = ++this.#asked;
    this.#told = [];
    try {
      const summary = await get('api/v1/sla/summary');
      if (!this.#isOver && turn > this.#taken) this.#found(turn, summary);
    } catch (error) {
      if (this.#isOver || turn !== this.#asked) return;
      trouble.value = error;
      this.#timer = setTimeout(this.load, AGAIN_MS);
    }
  };

  #found(turn, { tenants, as_of }) {
    this.#taken = turn;
    const there = new Set(tenants.map((row) => row.tenant_id));
    batch(() => {
      take(tenants, [...rows.peek().keys()].filter((name) => !there.has(name)));
      for (const message of this.#told ?? []) take(message.tenants, message.gone);
      asOf.value = this.#told?.at(-1)?.as_of || as_of;
      lostAt.value = null;
      awaySince.value = null;
      trouble.value = null;
      isLoaded.value = true;
    });
    if (turn === this.#asked) this.#told = null;
  }

  heard = (message) => batch(() => {
    this.#told?.push(message);
    take(message.tenants, message.gone);
    if (message.as_of) asOf.value = message.as_of;
    awaySince.value = message.away ? message.as_of : null;
  });

  end() {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}

// Returns how to end it.
export function follow() {
  batch(() => {
    rows.value = new Map();
    isLoaded.value = false;
    for (const known of [asOf, lostAt, awaySince, trouble]) known.value = null;
  });
  const following = new Following();
  const { load: opened, heard } = following;
  let close = () => {};
  let isOver = false;
  const socket = () => isOver || (close = listen('ws/fleet', { opened, heard, lost: (at) => (lostAt.value ??= at) }));
  // The summary comes first, and again when the socket is there: a page that shows something is worth a second question.
  Promise.race([following.load(), new Promise((resolve) => setTimeout(resolve, FIRST_MS))]).then(socket);
  return () => {
    isOver = true;
    following.end();
    close();
  };
}
