// The simulator's own page: what its cluster is, what is failing, and what else shall fail.
import { Choice, Trouble } from './parts.js';
import { language, theme } from './session.js';
import { Cluster } from './simulator_cluster.js';
import { SimulatorStore } from './simulator_store.js';
import { SimulatedTenant } from './simulator_tenant.js';
import { effect, html, render, signal, useEffect, useRef } from './view.js';
import { speak, t, time } from './words.js';

const route = signal(location.hash);
addEventListener('hashchange', () => (route.value = location.hash));

function Head({ clock }) {
  return html`<header>
    <a class="brand" href="#/">${t('simulator')}</a>
    ${clock && html`<span class="clock">${time(clock.now)} <small>${t('simulated_time', { speed: clock.speed, mode: t(`clock_${clock.mode}`) })}</small></span>`}
    <nav aria-label=${t('settings')}>
      <${Choice} label=${t('language')} kept=${language} choices=${[['ko', '한국어'], ['en', 'English']]} />
      <${Choice} label=${t('theme')} kept=${theme}
        choices=${[['auto', t('theme_auto')], ['light', t('theme_light')], ['dark', t('theme_dark')]]} />
      <a href="docs">${t('api')}</a>
    </nav>
  </header>`;
}

function Simulator() {
  const kept = useRef(null);
  const store = (kept.current ??= new SimulatorStore());
  const [, name] = /^#\/tenants\/([^/?]+)/.exec(route.value) ?? [];
  const tenantId = name && decodeURIComponent(name);
  useEffect(() => store.follow(tenantId), [tenantId]);
  return html`<${Head} clock=${store.clock.value} />
    <main>
      <${Trouble} error=${store.trouble.value} />
      <${Trouble} error=${store.refused.value} />
      ${tenantId ? html`<${SimulatedTenant} key=${tenantId} store=${store} tenantId=${tenantId} />` : html`<${Cluster} store=${store} />`}
    </main>`;
}

effect(() => void speak(language.value));
await speak(language.value);
render(html`<${Simulator} />`, document.getElementById('app'));
