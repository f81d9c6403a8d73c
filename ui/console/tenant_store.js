// One tenant: what every part of its page needs. Asked for once, again with each change, and told by its socket.
import { get, listen } from './api.js';
import { queryOf, stepOf } from './range.js';
import { effect, signal } from './view.js';

const WINDOWS = '1h,24h,7d,30d,90d,month';
// Of the newest metrics: a quarter of an hour at one a second.
const LIVE_POINTS = 900;
const AGAIN_MS = 60_000;

export class TenantStore {
  #turn = 0;

  constructor(tenantId) {
    this.path = `api/v1/tenants/${encodeURIComponent(tenantId)}`;
    this.tenantId = tenantId;
    this.detail = signal(null);
    this.sla = signal(null);
    this.timeline = signal(null);
    // Of the time that is drawn.
    this.annotations = signal(null);
    this.incidents = signal(null);
    this.deployments = signal(null);
    this.live = signal({ metrics: {}, recent: [] });
    this.trouble = signal(null);
    this.range = signal({ span: '24h', from: null, to: null });
    // Grows when something is another than it was: whoever shows more of the tenant asks again.
    this.changes = signal(0);
  }

  async #into(kept, path, turn = this.#turn) {
    try {
      const found = await get(`${this.path}${path}`);
      if (turn === this.#turn) kept.value = found;
      this.trouble.value = null;
      return found;
    } catch (error) {
      this.trouble.value = error;
      return null;
    }
  }

  // All that changes with the tenant's state.
  refresh = async () => {
    this.changes.value += 1;
    await this.#into(this.sla, `/sla?windows=${WINDOWS}`);
    await this.draw();
  };

  // What is drawn of the range that is chosen; of two that are asked for, the later one is shown.
  draw = async () => {
    const turn = ++this.#turn;
    const range = this.range.peek();
    const month = this.sla.peek()?.windows.find((w) => w.window === 'month');
    if (range.span === 'month' && range.from === null && !month) return;
    const asked = new URLSearchParams({
      ...(range.from === null && range.span !== 'month' && { window: range.span }),
      ...queryOf(range, month?.start),
      step: `${stepOf(range, Math.min(1_400, innerWidth))}m`,
    });
    const drawn = await this.#into(this.timeline, `/sla/timeline?${asked}`, turn);
    if (!drawn) return;
    const same = new URLSearchParams({ from: drawn.from, to: drawn.to });
    await Promise.all([
      this.#into(this.annotations, `/sla/annotations?${same}`, turn),
      this.#into(this.incidents, `/incidents?${same}`, turn),
      this.#into(this.deployments, '/deployments', turn),
    ]);
  };

  #heard = (message) => {
    const recent = [...this.live.value.recent, { at: Date.parse(message.timestamp) / 1000, metrics: message.metrics }];
    this.live.value = { metrics: message.metrics, recent: recent.slice(-LIVE_POINTS) };
    if (message.state) this.refresh();
  };

  // Returns how to end it.
  follow() {
    this.#into(this.detail, '');
    this.refresh();
    const timer = setInterval(this.refresh, AGAIN_MS);
    const end = listen(`ws/monitoring/${encodeURIComponent(this.tenantId)}`, { heard: this.#heard });
    let isFirst = true;
    const stop = effect(() => {
      this.range.value;
      // The first range is drawn by `refresh`, with the rest.
      if (!isFirst) this.draw();
      isFirst = false;
    });
    return () => {
      clearInterval(timer);
      stop();
      end();
    };
  }
}
