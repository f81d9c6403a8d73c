// Objectives of requests and of latency, each with its windows.
import { useAsked } from './asked.js';
import { Bounds, Budget, Mark, Nothing, Table, Trouble } from './parts.js';
import { html } from './view.js';
import { number, percent, t, time } from './words.js';

const HEADS = ['window', 'status', 'verdict', 'ratio', 'good', 'total', 'coverage', 'budget_left', 'burn_rate'];

function Objective({ objective, store, own }) {
  const path = `${store.path}/objectives/${encodeURIComponent(objective.name)}/status`;
  const { value, error } = useAsked(path, store.changes.value);
  const title = objective.display_name || objective.name;
  const limit = objective.threshold_ms ? ` · ≤ ${number(objective.threshold_ms)} ms` : '';
  return html`<${Table} title=${title} heads=${HEADS}>
      ${(value?.windows ?? []).map((w) => html`<tr key=${w.window}>
        <th scope="row">${t(`window_${w.window}`)}</th>
        <td><${Mark} is=${w.status} /></td><td>${t(`verdict_${w.verdict}`)}</td>
        <td class="figure">${percent(w.ratio)} <${Bounds} ...${w.bounds} /></td>
        <td class="figure">${number(w.good)}</td><td class="figure">${number(w.total)}</td>
        <td class="figure">${percent(w.coverage, 1)}</td>
        <td><${Budget} left=${w.error_budget.remaining_percent} label=${t('budget_left')} /></td>
        <td class="figure">${number(w.burn_rate)}</td></tr>`)}
      ${!value && html`<${Nothing} columns=${HEADS.length}>…<//>`}
    <//>
    <p><small>${t(`objective_${objective.kind}`)} · ${t('target')} ${percent(100 * objective.target)}${limit}
      ${objective.description && ` · ${objective.description}`}</small></p>
    ${objective.hints.map((hint) => html`<p key=${hint}><small>${hint}</small></p>`)}
    ${(value?.suspect ?? []).map((each) => html`<p key=${each.first_at}><small>${time(each.first_at, own)} – ${time(each.last_at, own)}: ${each.reason}</small></p>`)}
    <${Trouble} error=${error} />`;
}

export function Objectives({ store, own }) {
  const { value, error } = useAsked(`${store.path}/objectives`, 0);
  return html`<${Trouble} error=${error} />
    ${value?.objectives.map((each) => html`<${Objective} key=${each.name} objective=${each} store=${store} own=${own} />`)}
    ${value && !value.objectives.length && html`<p>${t('no_objectives')}</p>`}`;
}
