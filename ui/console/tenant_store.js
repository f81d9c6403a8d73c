// One tenant: what is asked for once, again with each change, and told by its socket.
import { get, listen } from './api.js';
import { signal } from './view.js';

export const PLOTS = { '24h': '5m', '7d': '15m', '30d': '1h', '90d': '3h' };
const HOURS = { '24h': 24, '7d': 168, '30d': 720, '90d': 2_160 };
const INTERVALS = { '24h': '5m', '7d': '1h', '30d': '1h', '90d': '1d' };
const WINDOWS = '1h,24h,7d,30d,month';

export class TenantStore {
  constructor(tenantId) {
    this.path = `api/v1/tenants/${encodeURIComponent(tenantId)}`;
    this.tenantId = tenantId;
    this.detail = signal(null);
    this.sla = signal(null);
    this.timeline = signal(null);
    this.metrics = signal(null);
    this.incidents = signal(null);
    this.maintenance = signal(null);
    this.alerts = signal(null);
    this.deployments = signal(null);
    this.live = signal({});
    this.trouble = signal(null);
    this.span = signal('24h');
  }

  async #into(kept, path) {
    try {
      kept.value = await get(`${this.path}${path}`);
      this.trouble.value = null;
    } catch (error) {
      this.trouble.value = error;
    }
  }

  // What changes with the tenant's state.
  refresh = () =>
    Promise.all([
      this.#into(this.sla, `/sla?windows=${WINDOWS}`),
      this.#into(this.incidents, '/incidents'),
      this.#into(this.alerts, '/alerts'),
      this.plots(),
    ]);

  plots = (span = this.span.value) => {
    this.span.value = span;
    return Promise.all([
      this.#into(this.timeline, `/sla/timeline?window=${span}&step=${PLOTS[span]}`),
      this.#into(this.metrics, `/monitoring?hours=${HOURS[span]}&interval=${INTERVALS[span]}`),
    ]);
  };

  // Returns how to end it.
  follow() {
    this.#into(this.detail, '');
    this.#into(this.maintenance, '/maintenance');
    this.#into(this.deployments, '/deployments');
    this.refresh();
    const timer = setInterval(this.refresh, 60_000);
    const end = listen(`ws/monitoring/${encodeURIComponent(this.tenantId)}`, {
      heard: (message) => {
        this.live.value = message.metrics;
        if (message.state) this.refresh();
      },
    });
    return () => {
      clearInterval(timer);
      end();
    };
  }
}
