// What each service should request, with what that follows from and what it costs.
import { useAsked, useTelling } from './asked.js';
import { Press, Table, Trouble } from './parts.js';
import { may } from './session.js';
import { html, useSignal } from './view.js';
import { number, percent, t } from './words.js';

const HEADS = ['service', 'now_requested', 'recommended', 'evidence', 'coverage', 'cost_difference', 'reason'];
const size = (s) => (s ? `${s.replicas} × ${s.cpu_request} / ${s.memory_request}` : '–');
const spread = (name, found, unit) => found && t('spread', { what: t(name), p95: `${number(found.p95)}${unit}`, max: `${number(found.max)}${unit}` });

const Evidence = ({ found }) => found ? html`<small>${[
  spread('cpu', found.cpu_millicores, ' m'), spread('memory', found.memory_mib, ' MiB'), spread('sessions', found.sessions, ''),
  t('samples', { n: number(found.samples) }),
].filter(Boolean).join(' · ')}</small>` : '–';

function Service({ advice }) {
  return html`<tr><th scope="row">${advice.service}</th><td class="figure">${size(advice.current)}</td>
    <td class="figure">${advice.recommended ? size(advice.recommended) : t('not_enough_data')}</td>
    <td><${Evidence} found=${advice.evidence} /></td>
    <td class="figure">${percent(advice.coverage, 1)}</td>
    <td class="figure">${number(advice.monthly_cost_difference)}</td>
    <td><ul class="plain">${[...advice.reasons, ...advice.caveats].map((said) => html`<li key=${said}>${said}</li>`)}</ul></td></tr>`;
}

function Cost({ cost, preset }) {
  const { currency, current, recommended, difference } = cost;
  return html`<p>${t('cost_month')}: <b>${currency}${number(current)}</b> → <b>${currency}${number(recommended)}</b>
    (${currency}${number(difference)}) · ${t('preset')}: ${preset.current} → ${preset.recommended ?? '–'}</p>`;
}

export function Sizing({ store }) {
  const days = useSignal('7');
  const applied = useSignal(0);
  const { value, error, isNewest } = useAsked(`${store.path}/recommendations?days=${days.value}`, applied.value);
  const telling = useTelling();
  // What was meant is this and no other change.
  const meant = useSignal(null);
  // What lowers the CPU under an autoscaler has to be meant.
  const asksForMore = value?.update && 'acknowledge_autoscaling' in value.update;
  const isMeant = asksForMore && meant.value === JSON.stringify(value.update);
  const apply = async () => {
    const body = { ...value.update, ...(asksForMore && { acknowledge_autoscaling: isMeant }) };
    if (confirm(t('apply_sure')) && await telling.tell('PUT', store.path, body)) applied.value += 1;
  };
  return html`<p class="filters"><label>${t('looked_at')} <select value=${days} onChange=${(e) => (days.value = e.target.value)}>
      ${['1', '7', '30', '90'].map((n) => html`<option key=${n} value=${n}>${t('days', { n })}</option>`)}</select></label></p>
    <${Trouble} error=${error ?? telling.error} />
    ${value && html`<${Cost} cost=${value.monthly_cost} preset=${value.preset} />
      <${Table} title=${t('sizing')} heads=${HEADS}>
        ${value.services.map((advice) => html`<${Service} key=${advice.service} advice=${advice} />`)}<//>
      ${value.gpus && html`<p>${t('gpu')}: ${number(value.gpus.current)} → ${number(value.gpus.recommended)}
        <small>${[...value.gpus.reasons, ...value.gpus.caveats].join(' ')}</small></p>`}
      ${!value.update && html`<p>${t('nothing_to_change')}</p>`}
      ${value.update && may('manage_tenants') && html`${asksForMore && html`<p><label><input type="checkbox" checked=${isMeant}
          onChange=${(e) => (meant.value = e.target.checked ? JSON.stringify(value.update) : null)} /> ${t('acknowledge_autoscaling')}</label></p>`}
        <${Press} busy=${!isNewest || telling.busy} disabled=${asksForMore && !isMeant} onClick=${apply}>${t('apply')}<//>`}`}`;
}
