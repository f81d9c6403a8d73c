// All tenants, worst first, as they change.
import { asOf, awaySince, counts, isLoaded, lostAt, order, sorted, trouble } from './fleet_store.js';
import { Bounds, Budget, Mark, Trouble } from './parts.js';
import { useVisible } from './visible.js';
import { html, signal } from './view.js';
import { clock, number, percent, t, time } from './words.js';

const STATUSES = ['violated', 'at_risk', 'no_data', 'meeting'];
const HEADS = ['tenant', 'status', 'state', 'availability_30d', 'target', 'budget_left', 'burn_rate', 'last_alert'];
// Kept while one looks at a tenant.
const text = signal('');
const status = signal('');

// `own`: the zone of the tenant that is looked at.
export function Since({ own }) {
  if (lostAt.value) return html`<p class="since lost" role="status">${t('lost_since', { at: clock(lostAt.value, own) })}</p>`;
  if (awaySince.value) return html`<p class="since lost" role="status">${t('away_since', { at: time(awaySince.value, own) })}</p>`;
  return html`<p class="since" role="status">${asOf.value && t('as_of', { at: clock(asOf.value, own) })}</p>`;
}

function Row({ row, at }) {
  const tenant = row.value;
  const month = tenant.windows['30d'];
  const alert = tenant.last_alert;
  return html`<tr aria-rowindex=${at + 2}>
    <th scope="row"><a href=${`#/tenants/${encodeURIComponent(tenant.tenant_id)}`}>${tenant.name}</a> <small>${tenant.tenant_id}</small></th>
    <td data-head=${t('status')}><${Mark} is=${tenant.status} /></td>
    <td data-head=${t('state')}><${Mark} is=${tenant.state ?? 'none'} /></td>
    <td class="figure" data-head=${t('availability_30d')}>${percent(month.availability)} <${Bounds} ...${month.bounds ?? {}} /></td>
    <td class="figure" data-head=${t('target')}>${percent(tenant.target, 2)}</td>
    <td data-head=${t('budget_left')}><${Budget} left=${tenant.error_budget.remaining_percent} label=${t('budget_left')} /></td>
    <td class="figure" data-head=${t('burn_rate')}>${number(tenant.burn_rate['1h'])} / ${number(tenant.burn_rate['24h'])}</td>
    <td data-head=${t('last_alert')}>${alert ? html`<${Mark} is=${alert.status} /> ${alert.alert_name} <small>${time(alert.at)}</small>` : '–'}</td>
  </tr>`;
}

// `down` is no status of an SLA, but what one looks for most.
function isFound(row) {
  const tenant = row.peek();
  const sought = status.value;
  if (sought && sought !== (sought === 'down' ? tenant.state : tenant.status)) return false;
  return !text.value || `${tenant.name} ${tenant.tenant_id}`.toLowerCase().includes(text.value.toLowerCase());
}

function Head({ name }) {
  const { by, down } = order.value;
  const sort = () => (order.value = { by: name, down: by === name && !down });
  return html`<th scope="col" aria-sort=${by !== name ? 'none' : down ? 'descending' : 'ascending'}>
    <button type="button" class="sort" onClick=${sort}>${t(name)}
      <span aria-hidden="true">${by !== name ? '' : down ? ' ▼' : ' ▲'}</span></button></th>`;
}

const Room = ({ high }) => high > 0 && html`<tbody class="room"><tr aria-hidden="true"><td colspan=${HEADS.length}
  style=${{ height: `${high}px` }}></td></tr></tbody>`;

function Table({ shown }) {
  const seen = useVisible(shown.length);
  return html`<table class="fleet" aria-rowcount=${shown.length + 1}>
    <thead><tr aria-rowindex="1">${HEADS.map((name) => html`<${Head} key=${name} name=${name} />`)}</tr></thead>
    <${Room} high=${seen.above} />
    <tbody ref=${seen.body}>${shown.slice(seen.first, seen.last).map((row, i) =>
      html`<${Row} key=${row.peek().tenant_id} row=${row} at=${seen.first + i} />`)}</tbody>
    <${Room} high=${seen.below} />
  </table>`;
}

const Filters = () => html`<form class="filters" onSubmit=${(event) => event.preventDefault()}>
  <label>${t('search')} <input type="search" value=${text} onInput=${(e) => (text.value = e.target.value)} /></label>
  <label>${t('status')} <select value=${status} onChange=${(e) => (status.value = e.target.value)}>
    <option value="">${t('all')}</option>
    ${[...STATUSES, 'down'].map((name) => html`<option key=${name} value=${name}>${t(name)}</option>`)}
  </select></label>
  <label>${t('sort_by')} <select value=${order.value.by} onChange=${(e) => (order.value = { by: e.target.value, down: false })}>
    <option value="worst">${t('worst_first')}</option>
    ${HEADS.map((name) => html`<option key=${name} value=${name}>${t(name)}</option>`)}
  </select></label>
</form>`;

export function Fleet() {
  const all = counts.value;
  const shown = sorted.value.filter(isFound);
  return html`<main>
    <h1>${t('fleet')}</h1>
    <${Since} />
    <${Trouble} error=${trouble.value} />
    <ul class="counts">
      ${STATUSES.map((name) => html`<li key=${name}><${Mark} is=${name} /> <b>${number(all[name])}</b></li>`)}
      <li><${Mark} is="down" /> <b>${number(all.down)}</b></li>
    </ul>
    <${Filters} />
    <div class="wide" tabindex="0" role="region" aria-label=${t('fleet')}><${Table} shown=${shown} /></div>
    ${isLoaded.value && !shown.length && html`<p>${t(sorted.value.length ? 'none_found' : 'no_tenants')}</p>`}
  </main>`;
}
