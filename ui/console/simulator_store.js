// What the simulator says of its cluster, and of the tenant that is looked at: asked again every two seconds.
import { get, send } from './api.js';
import { batch, signal } from './view.js';

const EVERY_MS = 2_000;
// Of so many tenants it is asked what fails in them, those first with which something is wrong.
export const ASKED = 20;

export const isShort = (tenant) => !tenant.ready || tenant.services.some((service) => service.ready < service.desired);

export class SimulatorStore {
  constructor() {
    this.clock = signal(null);
    this.system = signal(null);
    this.tenants = signal(null);
    // By tenant: what is failing in it now.
    this.failing = signal({});
    this.types = signal([]);
    this.scenarios = signal({});
    this.tenant = signal(null);
    this.failures = signal(null);
    this.trouble = signal(null);
  }

  async #cluster() {
    const [system, all] = await Promise.all([get('api/v1/metrics/system'), get('api/v1/metrics')]);
    const sorted = all.tenants.toSorted((a, b) => isShort(b) - isShort(a) || (a.tenant_id < b.tenant_id ? -1 : 1));
    const asked = sorted.slice(0, ASKED).map((tenant) => tenant.tenant_id);
    // One of them may be gone by now.
    const lists = await Promise.all(asked.map((name) => get(`api/v1/failures/${name}`).catch(() => ({ failures: [] }))));
    batch(() => {
      this.system.value = system;
      this.tenants.value = sorted;
      this.failing.value = Object.fromEntries(asked.map((name, i) => [name, lists[i].failures]));
    });
  }

  async #one(tenantId) {
    const path = encodeURIComponent(tenantId);
    const [tenant, failures] = await Promise.all([get(`api/v1/tenants/${path}`), get(`api/v1/failures/${path}`)]);
    batch(() => {
      this.tenant.value = tenant;
      this.failures.value = failures;
    });
  }

  async refresh(tenantId) {
    try {
      const clock = await get('api/v1/clock');
      await (tenantId ? this.#one(tenantId) : this.#cluster());
      this.clock.value = clock;
      this.trouble.value = null;
    } catch (error) {
      this.trouble.value = error;
    }
  }

  // What does not change while it runs.
  async catalogue() {
    if (this.types.value.length) return;
    const [types, scenarios] = await Promise.all([get('api/v1/failures/types'), get('api/v1/scenarios')]);
    batch(() => {
      this.types.value = types.failure_types;
      this.scenarios.value = scenarios.scenarios;
    });
  }

  // Returns how to end it.
  follow(tenantId) {
    this.tenant.value = null;
    this.failures.value = null;
    let over = false;
    let timer = null;
    const again = async () => {
      if (!document.hidden) await this.refresh(tenantId);
      if (!over) timer = setTimeout(again, EVERY_MS);
    };
    again();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }

  // What is asked for with a change; then what has come of it is shown at once.
  async change(method, path, tenantId, body) {
    try {
      await send(method, path, body);
      await this.refresh(tenantId);
    } catch (error) {
      this.trouble.value = error;
    }
  }
}
