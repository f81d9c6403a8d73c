// One tenant: what every part of its page needs. Asked for at once, again with each change, and told by its socket.
import { get, listen } from './api.js';
import { queryOf, stepOf } from './range.js';
import { language } from './session.js';
import { batch, computed, effect, signal, untracked } from './view.js';

const WINDOWS = '1h,24h,7d,30d,90d,month';
// Of the newest metrics: a quarter of an hour at one a second.
const LIVE_POINTS = 900;
const AGAIN_MS = 60_000;

// `recent` and what is told now, of an instant once: until something new is measured the same is told again.
export function withNewest(recent, { timestamp, metrics }) {
  const at = Date.parse(timestamp) / 1000;
  const others = recent.at(-1)?.at === at ? recent.slice(0, -1) : recent;
  return [...others, { at, metrics }].slice(-LIVE_POINTS);
}

export class TenantStore {
  // By what is asked for: how often it was, and which of these was answered.
  #turns = {};
  #isOver = false;
  // How its socket is ended; null: there is none, as there was no such tenant.
  #end = null;
  // By what was asked for in vain: why.
  #failing = signal({});
  // How often its socket has told a change of state.
  #told = 0;

  constructor(tenantId) {
    this.path = `api/v1/tenants/${encodeURIComponent(tenantId)}`;
    this.tenantId = tenantId;
    this.detail = signal(null);
    this.sla = signal(null);
    // What it is now, by who said so last: its own socket at once, an answer, the row of the fleet, which is looked at once a second
    // or, on a busy server, less often. Null: nobody has.
    this.state = signal(null);
    // {range, timeline, annotations, incidents, deployments} of a time that was chosen.
    this.drawn = signal(null);
    this.live = signal({ metrics: {}, recent: [] });
    this.trouble = computed(() => Object.values(this.#failing.value)[0] ?? null);
    this.range = signal({ span: '24h', from: null, to: null });
    // Grows when something is another than it was: whoever shows more of the tenant asks again.
    this.changes = signal(0);
  }

  // What `ask` gives, by `take`, unless one that was asked for later was given before it. `isOf`: whether it is still wanted.
  async #ask(name, ask, take, isOf = () => true) {
    const turns = (this.#turns[name] ??= { asked: 0, taken: 0 });
    const turn = ++turns.asked;
    const isWanted = () => !this.#isOver && turn > turns.taken && isOf();
    const answered = ({ [name]: _, ...others }, error) => {
      turns.taken = turn;
      this.#failing.value = error ? { ...others, [name]: error } : others;
    };
    try {
      const found = await ask();
      if (isWanted()) batch(() => (answered(this.#failing.peek()), take(found)));
    } catch (error) {
      if (isWanted()) answered(this.#failing.peek(), error);
    }
  }

  // Whether nobody looks any more: what is done in several steps ends here, as the next might be of another database.
  get isOver() {
    return this.#isOver;
  }

  // All that changes with the tenant's state.
  refresh = async () => {
    this.changes.value += 1;
    this.#ask('detail', () => get(this.path), (found) => (this.detail.value = found));
    const told = this.#told;
    const take = (found) => {
      this.sla.value = found;
      if (told === this.#told) this.state.value = found.state;
    };
    await this.#ask('sla', () => get(`${this.path}/sla?windows=${WINDOWS}`), take);
    if (!this.#isOver) await this.draw();
  };

  // What is drawn of the range that is chosen. What happened in it comes with the line, but for the first, which is shown at once.
  draw = async () => {
    const range = this.range.peek();
    const isOf = () => this.range.peek() === range;
    const month = this.sla.peek()?.windows.find((w) => w.window === 'month');
    if (range.span === 'month' && range.from === null && !month) return;
    const take = (found) => (this.drawn.value = { range, ...found });
    await this.#ask('drawn', () => this.#drawing(range, month, (found) => this.drawn.peek() === null && isOf() && take(found)), take, isOf);
  };

  async #drawing(range, month, first) {
    const asked = new URLSearchParams({
      ...(range.from === null && range.span !== 'month' && { window: range.span }),
      ...queryOf(range, month?.start),
      step: `${stepOf(range, Math.min(1_400, innerWidth))}m`,
    });
    const timeline = await get(`${this.path}/sla/timeline?${asked}`);
    first({ timeline, annotations: null, incidents: null, deployments: null });
    const same = new URLSearchParams({ from: timeline.from, to: timeline.to });
    const [annotations, incidents, deployments] = await Promise.all([
      get(`${this.path}/sla/annotations?${same}`), get(`${this.path}/incidents?${same}`), get(`${this.path}/deployments`),
    ]);
    return { timeline, annotations, incidents, deployments };
  }

  #heard = (message) => {
    this.live.value = { metrics: message.metrics, recent: withNewest(this.live.value.recent, message) };
    if (!message.state) return;
    this.#told += 1;
    this.state.value = message.state;
    this.refresh();
  };

  #listen() {
    let isFirst = true;
    this.#end = listen(`ws/monitoring/${encodeURIComponent(this.tenantId)}`, {
      heard: this.#heard,
      // What changed while nobody told it is not waited for.
      opened: () => (isFirst ? (isFirst = false) : this.refresh()),
      gone: () => {
        this.#end = null;
        this.refresh();
      },
    });
  }

  // Of a tenant that was not there, and was with the last look, is told again.
  #again = () => {
    if (this.#end === null && !('detail' in this.#failing.peek())) this.#listen();
    this.refresh();
  };

  // Returns how to end it.
  follow() {
    this.refresh();
    const timer = setInterval(this.#again, AGAIN_MS);
    this.#listen();
    const whenever = (kept, act) => {
      let isKnown = false;
      // The first is drawn by `refresh`, with the rest.
      return effect(() => (kept.value, isKnown ? untracked(act) : (isKnown = true), undefined));
    };
    const stops = [whenever(this.range, this.draw), whenever(language, this.refresh)];
    return () => {
      this.#isOver = true;
      clearInterval(timer);
      stops.forEach((stop) => stop());
      this.#end?.();
    };
  }
}
