// Whether the SLA is met, and what happened.
import { BurnDown } from './burndown.js';
import { Bounds, Budget, Mark, Nothing, Table } from './parts.js';
import { RangeBar } from './range.js';
import { Availability } from './timeline.js';
import { html } from './view.js';
import { inMinutes, lasting, number, percent, t, time } from './words.js';

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
      <small>${inMinutes(w.error_budget.remaining_minutes)}</small></td>
    <td class="figure">${number(w.burn_rate)}</td>
    <td class="figure">${number(w.failure_count)}</td>
  </tr>`)}
<//>`;

const Incidents = ({ found, own }) => html`<${Table} title=${t('incidents')} heads=${['start', 'end', 'down', 'budget_spent', 'cause']}>
  ${found.incidents.map((i) => html`<tr key=${i.start}>
    <th scope="row">${time(i.start, own)}</th>
    <td>${i.ongoing ? html`<${Mark} is="down" /> ${t('ongoing')}` : time(i.end, own)}</td>
    <td class="figure">${lasting(i.down_seconds)}</td>
    <td class="figure">${inMinutes(i.budget_minutes)}</td>
    <td>${i.cause ?? '–'}</td></tr>`)}
  ${!found.incidents.length && html`<${Nothing} columns="5">${t('no_incidents')}<//>`}
<//>`;

export function Overview({ store, own }) {
  const { sla, drawn, range } = store;
  // What is drawn may be of the range of before: whatever stands beside it is of the same.
  const { range: of, timeline, annotations, incidents, deployments } = drawn.value ?? {};
  const window = of?.from === null && sla.value?.windows.find((w) => w.window === of.span);
  const zoomed = (from, to) => (range.value = { ...range.peek(), from: from * 1000, to: to * 1000 });
  return html`
    ${sla.value && html`<${Windows} sla=${sla.value} />`}
    <${RangeBar} range=${range} own=${own} shown=${of === range.value && [Date.parse(timeline.from), Date.parse(timeline.to)]} />
    ${timeline && sla.value && html`<${Availability} timeline=${timeline} target=${sla.value.target} own=${own} zoomed=${zoomed}
      annotations=${annotations} incidents=${incidents} deployments=${deployments} />`}
    ${timeline && window && html`<${BurnDown} timeline=${timeline} window=${window} own=${own} />`}
    ${incidents && html`<${Incidents} found=${incidents} own=${own} />`}`;
}
