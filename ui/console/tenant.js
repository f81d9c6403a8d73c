// One tenant: its parts, each at an address of its own and loaded when somebody looks.
import { useLoaded } from './asked.js';
import { rowOf } from './fleet_store.js';
import { Since } from './fleet.js';
import { Overview } from './overview.js';
import { Mark, Trouble } from './parts.js';
import { may } from './session.js';
import { TenantStore } from './tenant_store.js';
import { html, useEffect, useRef } from './view.js';
import { shownZone, t } from './words.js';

// By the name in the address: what shows it, and what one has to be allowed to see it.
const PARTS = {
  overview: [async () => Overview],
  metrics: [async () => (await import('./metrics.js')).Metrics],
  objectives: [async () => (await import('./objectives.js')).Objectives],
  alert_rules: [async () => (await import('./rules.js')).AlertRules],
  maintenance: [async () => (await import('./maintenance.js')).Maintenance],
  deployments: [async () => (await import('./deployments.js')).Deployments],
  statements: [async () => (await import('./statements.js')).Statements],
  change: [async () => (await import('./change.js')).Change, 'manage_tenants'],
  sizing: [async () => (await import('./sizing.js')).Sizing],
  status_page: [async () => (await import('./status_page.js')).StatusPage],
  audit: [async () => (await import('./audit.js')).Audit, 'manage_tenants'],
};

const Parts = ({ tenantId, part }) => html`<nav class="parts" aria-label=${t('parts')}>
  ${Object.entries(PARTS).filter(([, [, needs]]) => !needs || may(needs)).map(([name]) => html`<a key=${name}
    href=${`#/tenants/${encodeURIComponent(tenantId)}/${name}`} aria-current=${name === part ? 'page' : undefined}>${t(name)}</a>`)}
</nav>`;

function Part({ name, ...more }) {
  const loaded = useLoaded(name, PARTS[name][0], name === 'overview' ? Overview : null);
  return loaded ? html`<${loaded.Show} key=${loaded.name} ...${more} />` : html`<p aria-busy="true">…</p>`;
}

export function Tenant({ tenantId, part, rest }) {
  const kept = useRef(null);
  const store = (kept.current ??= new TenantStore(tenantId));
  useEffect(() => store.follow(), []);
  const row = rowOf(tenantId)?.value;
  const { detail, sla } = store;
  useEffect(() => {
    if (row) store.state.value = row.state;
  }, [row?.state]);
  const own = sla.value?.time_zone;
  const name = part in PARTS ? part : 'overview';
  // Of a tenant that is not there, or not for this person, nothing else is offered.
  const isMissing = store.trouble.value?.status === 404 && !detail.value && !sla.value;
  return html`<main>
    <p><a href="#/">← ${t('fleet')}</a></p>
    <h1>${detail.value?.name ?? tenantId} <small>${tenantId}</small></h1>
    <p>${(row || sla.value) && html`<${Mark} is=${store.state.value ?? row?.state ?? 'no_data'} />`}
      ${own && html` <small>${t('times_in', { zone: shownZone(own) ?? Intl.DateTimeFormat().resolvedOptions().timeZone })}</small>`}</p>
    <${Since} own=${own} />
    <${Trouble} error=${store.trouble.value} again=${store.refresh} />
    ${!isMissing && html`<${Parts} tenantId=${tenantId} part=${name} />
      <${Part} name=${name} store=${store} own=${own} rest=${rest} />`}
  </main>`;
}
