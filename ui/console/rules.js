// Alert rules, and a new one: tried on the past, drawn, before it is saved.
import { useAsked, useTelling, fieldsOf } from './asked.js';
import { Backtest } from './backtest.js';
import { Mark, Nothing, Pick, Table, Trouble } from './parts.js';
import { may } from './session.js';
import { html, useRef, useSignal } from './view.js';
import { number, t, time } from './words.js';

const SEVERITIES = ['info', 'warning', 'critical'];
const DAYS = ['1', '7', '30', '90'];
const DAY_MS = 86_400_000;

const Rules = ({ found, remove, own }) => html`<${Table} title=${t('alert_rules')}
  heads=${['alert', 'state', 'condition', 'severity', 'value', 'since', ...(remove ? ['remove'] : [])]}>
  ${found.alerts.map((rule) => html`<tr key=${rule.rule_id}>
    <th scope="row">${rule.alert_name}</th><td><${Mark} is=${rule.state} /></td>
    <td><code>${rule.condition || rule.objective || rule.kind}</code></td><td>${t(`severity_${rule.severity}`)}</td>
    <td class="figure">${number(rule.value)}</td><td>${time(rule.since, own)}</td>
    ${remove && html`<td>${rule.kind === 'threshold' && html`<button type="button" aria-label=${`${t('remove')} ${rule.alert_name}`}
      onClick=${() => remove(rule)}>${t('remove')}</button>`}</td>`}</tr>`)}
  ${!found.alerts.length && html`<${Nothing} columns="7">${t('nothing_yet')}<//>`}
<//>`;

// The rule as the API takes it. A condition that names no policy is a threshold.
function ruleOf({ alert_name, condition, duration, severity, webhook, email }) {
  const actions = [
    webhook && { type: 'webhook', url: webhook }, email && { type: 'email', recipients: email.split(/[\s,]+/).filter(Boolean) },
  ].filter(Boolean);
  return { alert_name, condition, duration: duration ?? '0s', severity, actions };
}

function Fields({ trial }) {
  return html`<label>${t('alert')} <input name="alert_name" required maxlength="200" /></label>
    <label>${t('condition')} <input name="condition" required size="36" placeholder="cpu_usage > 80" spellcheck="false" /></label>
    <label>${t('for')} <input name="duration" size="6" placeholder="5m" pattern="[0-9]+[smhd]" /></label>
    <${Pick} name="severity" label=${t('severity')} value="warning" choices=${SEVERITIES.map((each) => [each, t(`severity_${each}`)])} />
    <label>${t('webhook')} <input name="webhook" type="url" size="30" /></label>
    <label>${t('email')} <input name="email" size="24" /></label>
    <${Pick} label=${t('tried_on')} value=${trial} onChange=${(event) => (trial.value = event.target.value)}
      choices=${DAYS.map((n) => [n, t('days', { n })])} />`;
}

function NewRule({ store, own, saved }) {
  const form = useRef(null);
  const days = useSignal('1');
  const tried = useSignal(null);
  const trying = useTelling();
  const saving = useTelling();
  const said = () => ruleOf(fieldsOf(form.current));
  const attempt = async (event) => {
    event.preventDefault();
    const { alert_name: _, severity: __, actions: ___, ...rule } = said();
    const end = Date.parse(store.sla.value.as_of);
    const range = { from: new Date(end - days.value * DAY_MS).toISOString(), to: new Date(end).toISOString() };
    tried.value = await trying.tell('POST', `${store.path}/alerts/test`, { ...rule, ...range });
  };
  const save = async () => {
    if (!form.current.reportValidity() || !await saving.tell('POST', `${store.path}/alerts`, said())) return;
    form.current.reset();
    tried.value = null;
    saved();
  };
  return html`<section><h2>${t('new_rule')}</h2>
    <form ref=${form} class="fields" onSubmit=${attempt} onInput=${() => (tried.value = null)}>
      <${Fields} trial=${days} />
      <p class="spans"><button type="submit" disabled=${trying.busy}>${t('try_rule')}</button>
        <button type="button" disabled=${!tried.value || saving.busy} onClick=${save}>${t('save')}</button></p>
    </form>
    <${Trouble} error=${trying.error ?? saving.error} />
    ${tried.value && html`<${Backtest} trial=${tried.value} own=${own} />`}
  </section>`;
}

export function AlertRules({ store, own }) {
  const changes = useSignal(0);
  const removing = useTelling();
  const { value, error } = useAsked(`${store.path}/alerts`, store.changes.value + changes.value);
  const remove = async (rule) => {
    if (confirm(t('remove_sure', { name: rule.alert_name })) && await removing.tell('DELETE', `${store.path}/alerts/${rule.rule_id}`)) changes.value += 1;
  };
  return html`<${Trouble} error=${error ?? removing.error} />
    ${value && html`<${Rules} found=${value} own=${own} remove=${may('operate') && remove} />`}
    ${may('operate') && store.sla.value && html`<${NewRule} store=${store} own=${own} saved=${() => (changes.value += 1)} />`}`;
}
