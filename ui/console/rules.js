// Alert rules and their state; who may writes new ones and changes those that there are.
import { useAsked, useTelling } from './asked.js';
import { Mark, Nothing, Press, Table, Trouble } from './parts.js';
import { RuleForm } from './rule_form.js';
import { may } from './session.js';
import { html, useSignal } from './view.js';
import { exact, t, time } from './words.js';

const HEADS = ['alert', 'state', 'condition', 'severity', 'value', 'since'];

// Conditions of the rules of the SLA, in words; what people wrote is theirs.
function conditionOf({ kind, condition }) {
  if (kind === 'no_data') return t(condition.includes('counted') ? 'nothing_counted' : 'nothing_measured');
  if (kind !== 'burn_rate') return html`<code>${condition || kind}</code>`;
  return condition.replace('burn rate', t('burn_rate')).replace(/ or /g, t('or')).replace(/([\d.]+ %) in (\S+)/g, (_, part, windows) => t('part_in', { part, windows }));
}

const Acts = ({ rule, change, remove, busy }) => html`<td><div class="spans">
  <button type="button" aria-label=${`${t('edit')} ${rule.alert_name}`} onClick=${() => change(rule)}>${t('edit')}</button>
  ${rule.kind === 'threshold' && html`<${Press} aria-label=${`${t('remove')} ${rule.alert_name}`} busy=${busy}
    onClick=${() => remove(rule)}>${t('remove')}<//>`}</div></td>`;

const Rules = ({ found, acts, own }) => html`<${Table} title=${t('alert_rules')} heads=${[...HEADS, ...(acts ? ['action'] : [])]}>
  ${found.alerts.map((rule) => html`<tr key=${rule.rule_id}>
    <th scope="row">${rule.alert_name} ${rule.objective && html`<small>${t('objective')}: ${rule.objective}</small>`}</th>
    <td><${Mark} is=${rule.state} /></td>
    <td>${conditionOf(rule)}</td><td>${t(`severity_${rule.severity}`)}</td>
    <td class="figure">${exact(rule.value)}</td><td>${time(rule.since, own)}</td>
    ${acts && html`<${Acts} rule=${rule} ...${acts} />`}</tr>`)}
  ${!found.alerts.length && html`<${Nothing} columns=${HEADS.length + 1}>${t('nothing_yet')}<//>`}
<//>`;

export function AlertRules({ store, own }) {
  const changes = useSignal(0);
  // The form that is there: of the rule that is changed; null: a new one is written. Each is another, and empty or as stored.
  const form = useSignal({ rule: null, n: 0 });
  const removing = useTelling();
  const { value, error } = useAsked(`${store.path}/alerts`, store.changes.value + changes.value);
  const { value: objectives } = useAsked(may('operate') ? `${store.path}/objectives` : null);
  const open = (rule) => (form.value = { rule, n: form.peek().n + 1 });
  const shown = form.value;
  // Whoever has opened another form meanwhile keeps it.
  const done = () => {
    if (form.peek() === shown) open(null);
    changes.value += 1;
  };
  const remove = async (rule) => {
    if (!confirm(t('remove_sure', { name: rule.alert_name })) || !await removing.tell('DELETE', `${store.path}/alerts/${rule.rule_id}`)) return;
    if (form.peek().rule?.rule_id === rule.rule_id) open(null);
    changes.value += 1;
  };
  const acts = may('operate') && { change: open, remove, busy: removing.busy };
  return html`<${Trouble} error=${error ?? removing.error} />
    ${value && html`<${Rules} found=${value} own=${own} acts=${acts} />`}
    ${acts && value && objectives && store.sla.value && html`<${RuleForm} key=${shown.n} store=${store} own=${own} rules=${value.alerts}
      rule=${shown.rule} objectives=${objectives.objectives} done=${done} />`}`;
}
