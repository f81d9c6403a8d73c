// One tenant: is its SLA met, what happened, what is planned, and what it says now.
import { rowOf } from './fleet_store.js';
import { Since } from './fleet.js';
import { Bounds, Budget, Mark, Trouble } from './parts.js';
import { Plot } from './plot.js';
import { Statements } from './statements.js';
import { PLOTS, TenantStore } from './tenant_store.js';
import { html, useEffect, useRef } from './view.js';
import { lasting, number, percent, shownZone, t, time } from './words.js';

const Table = ({ title, heads, children }) => html`<section>
  <h2>${title}</h2>
  <div class="wide" tabindex="0" role="region" aria-label=${title}><table>
    <thead><tr>${heads.map((key) => html`<th key=${key} scope="col">${t(key)}</th>`)}</tr></thead>
    <tbody>${children}</tbody>
  </table></div>
</section>`;

const Windows = ({ sla }) => html`<${Table} title=${t('availability')}
  heads=${['window', 'status', 'verdict', 'availability', 'target', 'coverage', 'down', 'budget_left', 'burn_rate', 'failures']}>
  ${sla.windows.map((w) => html`<tr key=${w.window}>
    <th scope="row">${t(`window_${w.window}`)}</th>
    <td><${Mark} is=${w.status} /></td>
    <td>${t(`verdict_${w.verdict}`)}</td>
    <td class="figure">${percent(w.availability)} <${Bounds} ...${w.bounds} /></td>
    <td class="figure">${percent(w.contract.target, 2)}</td>
    <td class="figure">${percent(w.coverage, 1)}</td>
    <td class="figure">${lasting(w.down_minutes * 60)}</td>
    <td><${Budget} left=${w.error_budget.remaining_percent} label=${t('budget_left')} />
      <small>${t('minutes', { n: number(w.error_budget.remaining_minutes) })}</small></td>
    <td class="figure">${number(w.burn_rate)}</td>
    <td class="figure">${number(w.failure_count)}</td>
  </tr>`)}
<//>`;

// Gaps are shaded, not drawn as spikes: a gap is no availability of 0.
function Availability({ timeline, target, own }) {
  const seconds = timeline.points.map((point) => Date.parse(point.timestamp) / 1000);
  const width = seconds.length > 1 ? seconds[1] - seconds[0] : 60;
  const shades = () => timeline.points.flatMap((point, i) => {
    const until = seconds[i] + width;
    return [
      point.gap_minutes > 0 && [until - Math.min(width, point.gap_minutes * 60), until, 'gap-shade'],
      point.down_minutes > 0 && [seconds[i], seconds[i] + Math.min(width, point.down_minutes * 60), 'down-shade'],
    ].filter(Boolean);
  });
  const values = timeline.points.map((point) => point.availability);
  const data = [seconds, values, seconds.map(() => target)];
  const lowest = Math.min(target, ...values.filter((value) => value !== null));
  const floor = Math.max(0, lowest - Math.max(0.05, (100 - lowest) * 0.1));
  return html`<${Plot} title=${t('timeline')} data=${data} own=${own} shades=${shades} range=${() => [floor, 100]} unit=" %"
    series=${[{ label: t('availability'), ink: 'accent' }, { label: t('target'), ink: 'warn', dash: [6, 4] }]} />`;
}

function Metrics({ metrics, own }) {
  return Object.entries(metrics.metrics).filter(([, points]) => points.length).map(([name, points]) => {
    const data = [points.map((p) => Date.parse(p.timestamp) / 1000), points.map((p) => p.value)];
    return html`<${Plot} key=${name} title=${name} data=${data} own=${own} series=${[{ label: name, ink: 'accent' }]} />`;
  });
}

const Live = ({ values }) => html`<dl class="live">
  ${Object.entries(values).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${number(value)}</dd></div>`)}
</dl>`;

const Incidents = ({ found, own }) => html`<${Table} title=${t('incidents')} heads=${['start', 'end', 'down', 'budget_spent', 'cause']}>
  ${found.incidents.map((i) => html`<tr key=${i.start}>
    <th scope="row">${time(i.start, own)}</th>
    <td>${i.ongoing ? html`<${Mark} is="down" /> ${t('ongoing')}` : time(i.end, own)}</td>
    <td class="figure">${lasting(i.down_seconds)}</td>
    <td class="figure">${t('minutes', { n: number(i.budget_minutes) })}</td>
    <td>${i.cause ?? '–'}</td></tr>`)}
  ${!found.incidents.length && html`<tr><td colspan="5">${t('no_incidents')}</td></tr>`}
<//>`;

const Maintenance = ({ found, own }) => html`<${Table} title=${t('maintenance')} heads=${['next_occurrence', 'end', 'category', 'reason', 'counts']}>
  ${found.maintenance.map((m) => html`<tr key=${m.id}>
    <th scope="row">${time(m.next_occurrences[0]?.start ?? m.start, own)}</th>
    <td>${time(m.next_occurrences[0]?.end ?? m.end, own)}</td>
    <td>${t(`category_${m.category}`)}</td><td>${m.title || m.reason}</td>
    <td>${m.counts ? t('yes') : m.lacks ?? t('no')}</td></tr>`)}
  ${!found.maintenance.length && html`<tr><td colspan="5">${t('no_maintenance')}</td></tr>`}
<//>`;

const Alerts = ({ found }) => html`<${Table} title=${t('alert_rules')} heads=${['alert', 'state', 'condition', 'severity', 'value']}>
  ${found.alerts.map((rule) => html`<tr key=${rule.rule_id}>
    <th scope="row">${rule.alert_name}</th><td><${Mark} is=${rule.state} /></td>
    <td><code>${rule.condition}</code></td><td>${rule.severity}</td><td class="figure">${number(rule.value)}</td></tr>`)}
<//>`;

const Deployments = ({ found, own }) => html`<${Table} title=${t('deployments')} heads=${['at', 'status', 'method', 'budget_spent', 'message']}>
  ${found.deployments.map((d) => html`<tr key=${d.deployment_id}>
    <th scope="row">${time(d.created_at, own)}</th><td>${d.status} ${d.progress < 100 ? `${d.progress} %` : ''}</td>
    <td>${d.method}</td><td class="figure">${t('minutes', { n: number(d.burned_minutes) })}</td><td>${d.message}</td></tr>`)}
  ${!found.deployments.length && html`<tr><td colspan="5">${t('no_deployments')}</td></tr>`}
<//>`;

const Spans = ({ store }) => html`<div class="spans" role="group" aria-label=${t('span')}>
  ${Object.keys(PLOTS).map((span) => html`<button key=${span} type="button" aria-pressed=${store.span.value === span}
    onClick=${() => store.plots(span)}>${t(`window_${span}`)}</button>`)}
</div>`;

export function Tenant({ tenantId }) {
  const kept = useRef(null);
  const store = (kept.current ??= new TenantStore(tenantId));
  useEffect(() => store.follow(), []);
  const row = rowOf(tenantId)?.value;
  const { detail, sla, timeline, metrics, incidents, maintenance, alerts, deployments } = store;
  const own = sla.value?.time_zone;
  return html`<main>
    <p><a href="#/">← ${t('fleet')}</a></p>
    <h1>${detail.value?.name ?? tenantId} <small>${tenantId}</small></h1>
    <p>${(row || sla.value) && html`<${Mark} is=${row?.state ?? sla.value?.state ?? 'no_data'} />`}
      ${own && html` <small>${t('times_in', { zone: shownZone(own) ?? Intl.DateTimeFormat().resolvedOptions().timeZone })}</small>`}</p>
    <${Since} />
    <${Trouble} error=${store.trouble.value} again=${store.refresh} />
    <${Live} values=${store.live.value} />
    ${sla.value && html`<${Windows} sla=${sla.value} />`}
    <${Spans} store=${store} />
    ${timeline.value && sla.value && html`<${Availability} timeline=${timeline.value} target=${sla.value.target} own=${own} />`}
    ${incidents.value && html`<${Incidents} found=${incidents.value} own=${own} />`}
    <${Statements} tenantId=${tenantId} path=${store.path} />
    ${maintenance.value && html`<${Maintenance} found=${maintenance.value} own=${own} />`}
    ${alerts.value && html`<${Alerts} found=${alerts.value} />`}
    ${deployments.value && html`<${Deployments} found=${deployments.value} own=${own} />`}
    <h2>${t('metrics')}</h2>
    <div class="plots">${metrics.value && html`<${Metrics} metrics=${metrics.value} own=${own} />`}</div>
  </main>`;
}
