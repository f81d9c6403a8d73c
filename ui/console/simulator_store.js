// What the simulator says of its cluster, and of the tenant that is looked at: asked again every two seconds.
import { get, send } from './api.js';
import { batch, signal } from './view.js';

const EVERY_MS = 2_000;
// Of so many tenants it is asked what fails in them, those first with which something is wrong.
export const ASKED = 20;

export const isShort = (tenant) => !tenant.ready || tenant.services.some((service) => service.ready < service.desired);

// One of them may be gone by now.
function goneBy(error) {
  if (error.status !== 404) throw error;
  return { failures: [] };
}

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
    // Why the last change was refused, and whether one is under way.
    this.refused = signal(null);
    this.isChanging = signal(false);
  }

  // Who looks at what; each that comes is another, and what was asked for one that has gone is not shown.
  #looking = {};
  // How often it was asked, and which of these was answered: an older answer never replaces a newer one.
  #asked = 0;
  #taken = 0;

  async #cluster() {
    const [system, all] = await Promise.all([get('api/v1/metrics/system'), get('api/v1/metrics')]);
    const sorted = all.tenants.toSorted((a, b) => isShort(b) - isShort(a) || (a.tenant_id < b.tenant_id ? -1 : 1));
    const asked = sorted.slice(0, ASKED).map((tenant) => tenant.tenant_id);
    const lists = await Promise.all(asked.map((name) => get(`api/v1/failures/${name}`).catch(goneBy)));
    return () => {
      this.system.value = system;
      this.tenants.value = sorted;
      this.failing.value = Object.fromEntries(asked.map((name, i) => [name, lists[i].failures]));
    };
  }

  async #one(tenantId) {
    const path = encodeURIComponent(tenantId);
    const [tenant, failures] = await Promise.all([get(`api/v1/tenants/${path}`), get(`api/v1/failures/${path}`), this.#catalogue()]);
    return () => {
      this.tenant.value = tenant;
      this.failures.value = failures;
    };
  }

  async #refresh(looking) {
    const turn = ++this.#asked;
    const take = (show) => {
      if (looking !== this.#looking || turn < this.#taken) return;
      this.#taken = turn;
      batch(show);
    };
    try {
      const clock = await get('api/v1/clock');
      const show = await (looking.tenantId ? this.#one(looking.tenantId) : this.#cluster());
      take(() => {
        show();
        this.clock.value = clock;
        this.trouble.value = null;
      });
    } catch (error) {
      take(() => (this.trouble.value = error));
    }
  }

  // What does not change while it runs.
  async #catalogue() {
    if (this.types.peek().length) return;
    const [types, scenarios] = await Promise.all([get('api/v1/failures/types'), get('api/v1/scenarios')]);
    batch(() => {
      this.types.value = types.failure_types;
      this.scenarios.value = scenarios.scenarios;
    });
  }

  // Returns how to end it.
  follow(tenantId) {
    const looking = (this.#looking = { tenantId });
    batch(() => [this.tenant, this.failures, this.refused, this.trouble].forEach((known) => (known.value = null)));
    let timer = null;
    const again = async () => {
      if (!document.hidden) await this.#refresh(looking);
      if (looking === this.#looking) timer = setTimeout(again, EVERY_MS);
    };
    again();
    return () => {
      if (looking === this.#looking) this.#looking = {};
      clearTimeout(timer);
    };
  }

  // What is asked for with a change, one at a time; then what has come of it is shown at once. Why it is refused stays until the next.
  async change(method, path, body) {
    if (this.isChanging.peek()) return;
    const looking = this.#looking;
    batch(() => {
      this.isChanging.value = true;
      this.refused.value = null;
    });
    try {
      await send(method, path, body);
      if (looking === this.#looking) await this.#refresh(looking);
    } catch (error) {
      if (looking === this.#looking) this.refused.value = error;
    } finally {
      this.isChanging.value = false;
    }
  }
}
