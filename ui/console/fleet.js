// All tenants, worst first, as they change.
import { asOf, counts, isLoaded, lostAt, sorted, trouble } from './fleet_store.js';
import { Bounds, Budget, Mark, Trouble } from './parts.js';
import { html, useEffect, useSignal } from './view.js';
import { clock, number, percent, t, time } from './words.js';

// Rows that are drawn at once: the worst are seen while the others are still being made.
const AT_ONCE = 50;
const STATUSES = ['violated', 'at_risk', 'no_data', 'meeting'];

export function Since() {
  if (lostAt.value) return html`<p class="since lost" role="status">${t('lost_since', { at: clock(lostAt.value) })}</p>`;
  return html`<p class="since" role="status">${asOf.value && t('as_of', { at: clock(asOf.value) })}</p>`;
}

function Row({ row }) {
  const tenant = row.value;
  const month = tenant.windows['30d'];
  const alert = tenant.last_alert;
  return html`<tr>
    <th scope="row"><a href=${`#/tenants/${tenant.tenant_id}`}>${tenant.name}</a> <small>${tenant.tenant_id}</small></th>
    <td><${Mark} is=${tenant.status} /></td>
    <td><${Mark} is=${tenant.state ?? 'no_data'} /></td>
    <td class="figure">${percent(month.availability)} <${Bounds} ...${month.bounds ?? {}} /></td>
    <td class="figure">${percent(tenant.target, 2)}</td>
    <td><${Budget} left=${tenant.error_budget.remaining_percent} label=${t('budget_left')} /></td>
    <td class="figure">${number(tenant.burn_rate['1h'])} / ${number(tenant.burn_rate['24h'])}</td>
    <td>${alert ? html`<${Mark} is=${alert.status} /> ${alert.alert_name} <small>${time(alert.at)}</small>` : '–'}</td>
  </tr>`;
}

const found = (text, status) => (row) => {
  const tenant = row.peek();
  return (
    (!status || tenant.status === status) &&
    (!text || `${tenant.name} ${tenant.tenant_id}`.toLowerCase().includes(text.toLowerCase()))
  );
};

export function Fleet() {
  const text = useSignal('');
  const status = useSignal('');
  const shown = sorted.value.filter(found(text.value, status.value));
  const all = counts.value;
  const drawn = useSignal(AT_ONCE);
  useEffect(() => {
    if (drawn.value < shown.length) setTimeout(() => (drawn.value += 2 * AT_ONCE));
  });
  return html`<main>
    <h1>${t('fleet')}</h1>
    <${Since} />
    <${Trouble} error=${trouble.value} />
    <ul class="counts">
      ${STATUSES.map((name) => html`<li key=${name}><${Mark} is=${name} /> <b>${number(all[name])}</b></li>`)}
      <li><${Mark} is="down" /> <b>${number(all.down)}</b></li>
    </ul>
    <form class="filters" onSubmit=${(event) => event.preventDefault()}>
      <label>${t('search')} <input type="search" value=${text} onInput=${(e) => (text.value = e.target.value)} /></label>
      <label>${t('status')} <select value=${status} onChange=${(e) => (status.value = e.target.value)}>
        <option value="">${t('all')}</option>
        ${STATUSES.map((name) => html`<option key=${name} value=${name}>${t(name)}</option>`)}
      </select></label>
    </form>
    <div class="wide" tabindex="0" role="region" aria-label=${t('fleet')}>
      <table class="fleet">
        <thead><tr>${['tenant', 'status', 'state', 'availability_30d', 'target', 'budget_left', 'burn_rate', 'last_alert']
          .map((key) => html`<th key=${key} scope="col">${t(key)}</th>`)}</tr></thead>
        <tbody>${shown.slice(0, drawn.value).map((row) => html`<${Row} key=${row.peek().tenant_id} row=${row} />`)}</tbody>
      </table>
    </div>
    ${isLoaded.value && !shown.length && html`<p>${t(sorted.value.length ? 'none_found' : 'no_tenants')}</p>`}
  </main>`;
}
