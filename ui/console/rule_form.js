// A rule that is written or changed: tried on the past, and drawn, before it is saved. The rules of the SLA and of objectives are
// there already: their factors follow from what is promised, and who writes one says how urgent it is and whom it tells.
import { ApiError, get, send } from './api.js';
import { useTelling } from './asked.js';
import { Backtest } from './backtest.js';
import { Input, Pick, Press, Trouble, Waiting } from './parts.js';
import { aboutOf, bodyOfRule, decidesAlike, draftOfRule, emptyRule, isWritten, policyOf, ruleAbout, trialOf } from './rule_draft.js';
import { may } from './session.js';
import { useTyped } from './typed.js';
import { html, useEffect, useRef, useSignal } from './view.js';
import { t } from './words.js';

const SEVERITIES = ['info', 'warning', 'critical', 'ticket', 'page'];
const POLICIES = ['page', 'ticket'];
const DAYS = ['1', '7', '30', '90'];
const DAY_MS = 86_400_000;
const nameOf = (objective) => objective.display_name || objective.name;

// What it may be about: a condition, availability, each of the objectives.
const subjects = (objectives) => [
  ['', t('about_condition')],
  ...POLICIES.map((policy) => [aboutOf(policy), `${t('availability')}: ${t(`policy_${policy}`)}`]),
  ...objectives.flatMap((each) => POLICIES.map((policy) => [aboutOf(policy, each.name), `${nameOf(each)}: ${t(`policy_${policy}`)}`])),
];

function Actions({ draft, error }) {
  // The API is sent those that are written, and calls them by their place among these.
  const sent = draft.value.actions.filter(isWritten);
  const wholeOf = (action) => `actions.${sent.indexOf(action)}`;
  const fieldOf = (action, part) => ({ field: `${wholeOf(action)}.${part}` });
  const first = (action, part) => ({ ...fieldOf(action, part), whole: wholeOf(action) });
  const { actions } = draft.value;
  const put = (place, more) =>
    (draft.value = { ...draft.value, actions: actions.map((each, i) => (i === place ? { ...each, ...more } : each)) });
  const drop = (place) => (draft.value = { ...draft.value, actions: actions.filter((_, i) => i !== place) });
  const add = (type) => (draft.value = { ...draft.value, actions: [...actions, { type, to: '' }] });
  return html`<fieldset><legend>${t('whom_it_tells')}</legend>
    ${actions.map((action, place) => html`<div key=${place} class="fields">
      ${action.type === 'email'
        ? html`<${Input} label=${t('email')} error=${error} ...${first(action, 'recipients')} size="36" value=${action.to}
            onInput=${(e) => put(place, { to: e.target.value })} />`
        : html`<${Input} label=${t('webhook')} error=${error} ...${first(action, 'url')} type="url" size="40" value=${action.to}
            onInput=${(e) => put(place, { to: e.target.value })} />
          <${Input} label=${t('headers')} error=${error} ...${fieldOf(action, 'headers')} as="textarea" class="code"
            rows=${Math.max(1, (action.headers ?? '').split('\n').length)} cols="30" spellcheck=${false} value=${action.headers ?? ''}
            placeholder="Authorization: Bearer …" onInput=${(e) => put(place, { headers: e.target.value })} />`}
      <button type="button" aria-label=${t('remove_action', { n: place + 1 })} onClick=${() => drop(place)}>−</button></div>`)}
    <p class="spans">${['webhook', 'email'].map((type) => html`<button key=${type} type="button" onClick=${() => add(type)}>
      ${t('add_action', { what: t(type) })}</button>`)}</p>
  </fieldset>`;
}

function Fields({ draft, objectives, choose, isFixed, error }) {
  const { rule_id, kind, about, severity } = draft.value;
  const set = (event) => (draft.value = { ...draft.value, [event.target.name]: event.target.value });
  const isOurs = kind !== 'threshold';
  return html`<div class="fields">
      ${rule_id === null || about ? html`<${Pick} name="about" label=${t('about')} value=${about} disabled=${isFixed}
        onChange=${(event) => choose(event.target.value)} choices=${subjects(objectives)} />` : null}
      <${Input} label=${t('alert')} error=${error} name="alert_name" required maxlength="200" readonly=${isOurs} value=${draft.value.alert_name} onInput=${set} />
      <${Input} label=${t('condition')} error=${error} name="condition" required size="36" placeholder="cpu_usage > 80" spellcheck=${false}
        readonly=${isOurs} value=${draft.value.condition} onInput=${set} />
      ${!isOurs && html`<${Input} label=${t('for')} error=${error} name="duration" size="6" placeholder="5m" value=${draft.value.duration} onInput=${set} />`}
      <${Pick} name="severity" label=${t('severity')} value=${severity} onChange=${set} choices=${SEVERITIES.map((each) => [each, t(`severity_${each}`)])} />
    </div>
    <${Actions} draft=${draft} error=${error} />`;
}

// What there is to be tried, over the last days.
function useTrial(store, draft) {
  const days = useSignal('1');
  const tried = useSignal(null);
  const telling = useTelling();
  const attempt = async () => {
    const [asked, lasted] = [trialOf(draft.value), days.value];
    const end = Date.parse(store.sla.value.as_of);
    const range = { from: new Date(end - lasted * DAY_MS).toISOString(), to: new Date(end).toISOString() };
    const trial = await telling.tell('POST', `${store.path}/alerts/test`, { ...asked, ...range });
    tried.value = trial && { trial, of: JSON.stringify(asked), days: lasted };
  };
  // Of what is written now; another condition is another trial, and what is drawn is of the days that are chosen.
  const isTried = tried.value?.of === JSON.stringify(trialOf(draft.value));
  const shown = isTried && tried.value.days === days.value ? tried.value.trial : null;
  return { days, attempt, isTried, shown, ...telling };
}

// Why an objective has no such rule; of availability each tenant has them.
function whyMissing(objectives, draft) {
  const objective = objectives.find(({ name }) => name === policyOf(draft).objective);
  if (!objective || objective.alerts) return 'no_rules_yet';
  return may('manage_tenants') ? 'alerts_are_off' : 'alerts_are_off_for_you';
}

// An objective that wants no alerts has no rules until it wants them; then its rules are there. Null: its writer has gone.
async function made(store, draft) {
  const path = `${store.path}/objectives/${encodeURIComponent(policyOf(draft).objective)}`;
  const objective = await get(path);
  if (store.isOver) return null;
  await send('PUT', path, { ...objective, alerts: true });
  const found = ruleAbout((await get(`${store.path}/alerts`)).alerts, draft.about);
  if (!found) throw new ApiError(404, { code: 'NOT_FOUND', message: t('no_rules_yet') });
  return store.isOver ? null : found;
}

// As a new one, or as a change of one that is there, if need be since now.
async function saved(store, draft, isMissing) {
  const [path, body] = [`${store.path}/alerts`, bodyOfRule(draft)];
  if (isMissing) {
    const found = await made(store, draft);
    if (!found) return null;
    const { rule_id, alert_name, condition, duration } = found;
    return send('PUT', `${path}/${rule_id}`, { ...body, alert_name, condition, duration });
  }
  return draft.rule_id === null ? send('POST', path, body) : send('PUT', `${path}/${draft.rule_id}`, body);
}

// `rule`: as it is stored, to be changed; null: a new one. `done`: told when it is saved or left.
export function RuleForm({ store, own, rules, rule, objectives, done }) {
  const [draft, forget] = useTyped(`rule ${store.tenantId} ${rule?.rule_id}`, rule ? draftOfRule(rule) : emptyRule());
  const storedOf = (about) => {
    const found = about && ruleAbout(rules, about);
    return found ? draftOfRule(found) : null;
  };
  const stored = useSignal(rule ? draftOfRule(rule) : storedOf(draft.peek().about));
  const head = useRef(null);
  const trial = useTrial(store, draft);
  const saving = useTelling();
  useEffect(() => rule && head.current.focus(), []);
  const choose = (about) => {
    stored.value = storedOf(about);
    draft.value = stored.value ?? { ...emptyRule(), about, ...(about && { kind: 'burn_rate', alert_name: '–', condition: '–' }) };
  };
  const { about, rule_id } = draft.value;
  const isMissing = about !== '' && rule_id === null;
  const why = isMissing && whyMissing(objectives, draft.value);
  const isTried = trial.isTried || (rule !== null && decidesAlike(draft.value, stored.value));
  const leave = () => {
    forget();
    done();
  };
  const save = async (event) => {
    event.preventDefault();
    trial.forget();
    if (await saving.during(() => saved(store, draft.value, isMissing))) leave();
  };
  const canTry = trialOf(draft.value) !== null && store.sla.value;
  const attempt = () => {
    saving.forget();
    trial.attempt();
  };
  const error = trial.error ?? saving.error;
  return html`<section><h2 ref=${head} tabindex="-1">${rule ? t('change_rule', { name: rule.alert_name }) : t('new_rule')}</h2>
    <form noValidate onSubmit=${save}><${Waiting} while=${saving.busy}>
      <${Fields} draft=${draft} objectives=${objectives} choose=${choose} isFixed=${rule !== null} error=${error} />
      ${about && html`<p><small>${t('policy_hint')}${why ? ` ${t(why)}` : ''}</small></p>`}
      ${rule && html`<p><small>${t('rule_starts_anew')}</small></p>`}
      <p class="spans">
        ${canTry && html`<${Pick} label=${t('tried_on')} value=${trial.days} onChange=${(event) => (trial.days.value = event.target.value)}
            choices=${DAYS.map((n) => [n, t('days', { n })])} />
          <${Press} busy=${trial.busy} onClick=${attempt}>${t('try_rule')}<//>`}
        <button type="submit" disabled=${!isTried || (why && why !== 'alerts_are_off')}>${t('save')}</button>
        ${rule && html`<button type="button" onClick=${leave}>${t('leave_it')}</button>`}</p>
    <//></form>
    <${Trouble} error=${error} />
    ${trial.shown && html`<${Backtest} trial=${trial.shown} own=${own} />`}
  </section>`;
}
