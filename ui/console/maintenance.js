// Planned windows, and a new one: when it would be on and what it would change, before it is planned.
import { fieldsOf, useAsked, useTelling } from './asked.js';
import { Input, Nothing, Pick, Press, Table, Trouble, Waiting } from './parts.js';
import { may } from './session.js';
import { html, useRef, useSignal } from './view.js';
import { inMinutes, number, percent, t, time } from './words.js';

const CATEGORIES = ['maintenance', 'deployment', 'customer', 'force_majeure', 'other'];
const RULES = { once: '', daily: 'FREQ=DAILY', weekly: 'FREQ=WEEKLY', monthly: 'FREQ=MONTHLY' };

function Planned({ found, own, act, busy }) {
  return html`<${Table} title=${t('maintenance')} heads=${['next_occurrence', 'end', 'category', 'reason', 'counts', ...(act ? ['remove'] : [])]}>
    ${found.maintenance.map((m) => html`<tr key=${m.id}>
      <th scope="row">${time(m.next_occurrences[0]?.start ?? m.start, own)} ${m.rrule && html`<small><code>${m.rrule}</code></small>`}</th>
      <td>${time(m.next_occurrences[0]?.end ?? m.end, own)}</td>
      <td>${t(`category_${m.category}`)}</td><td>${m.title || m.reason}</td>
      <td>${m.counts ? t('yes') : t(m.lacks ?? 'no')}</td>
      ${act && html`<td><div class="spans">
        ${!m.counts && may('manage_tenants') && html`<${Press} busy=${busy} onClick=${() => act('POST', m, '/approve')}>${t('approve')}<//>`}
        <${Press} busy=${busy} onClick=${() => confirm(t('remove_sure', { name: m.title || m.reason })) && act('DELETE', m, '')}>${t('remove')}<//></div></td>`}
      </tr>`)}
    ${!found.maintenance.length && html`<${Nothing} columns="6">${t('no_maintenance')}<//>`}
  <//>`;
}

// Figures as they are and as they would be; `key` of the API's preview.
const change = (effect, key, shown) => {
  const [before, after] = [shown(effect.before[key]), shown(effect.after[key])];
  return before === after ? before : html`${before} → <b>${after}</b>`;
};

function Preview({ preview, own }) {
  const { window, past, effects } = preview;
  const when = [...past.last, ...window.next_occurrences];
  return html`
    <${Table} title=${t('occurrences')} heads=${['start', 'end', 'counts']}>
      ${when.map((each) => html`<tr key=${each.start}><th scope="row">${time(each.start, own)}</th><td>${time(each.end, own)}</td>
        <td>${t(each.counts ? 'yes' : 'no')}</td></tr>`)}
      ${!when.length && html`<${Nothing} columns="3">${t('never')}<//>`}<//>
    ${window.lacks && html`<p class="lost">${t(window.lacks)}</p>`}
    <${Table} title=${t('what_changes')} heads=${['window', 'availability', 'verdict', 'down', 'left_out', 'budget_left']}>
      ${effects.map((effect) => html`<tr key=${effect.window}><th scope="row">${t(`window_${effect.window}`)}</th>
        <td class="figure">${change(effect, 'availability', percent)}</td>
        <td>${change(effect, 'verdict', (said) => t(`verdict_${said}`))}</td>
        <td class="figure">${change(effect, 'down_minutes', inMinutes)}</td>
        <td class="figure">${change(effect, 'maintenance_minutes', inMinutes)}</td>
        <td class="figure">${change(effect, 'budget_remaining_minutes', inMinutes)}</td></tr>`)}<//>
    ${past.count > 0 && html`<p class="lost">${t('past_occurrences', { n: number(past.count) })}</p>`}`;
}

const bodyOf = ({ repeats, rrule, ...fields }) => ({ ...fields, ...(rrule ? { rrule } : RULES[repeats] && { rrule: RULES[repeats] }) });

function NewWindow({ store, own, saved }) {
  const form = useRef(null);
  // {of, found}: of what was written then; what is written otherwise meanwhile has none.
  const preview = useSignal(null);
  const edits = useSignal(0);
  const asking = useTelling();
  const saving = useTelling();
  const said = () => bodyOf(fieldsOf(form.current));
  const show = async (event) => {
    event.preventDefault();
    saving.forget();
    const of = edits.value;
    const found = await asking.tell('POST', `${store.path}/maintenance/preview`, said());
    preview.value = found && { of, found };
  };
  const error = asking.error ?? saving.error;
  const shown = preview.value?.of === edits.value ? preview.value.found : null;
  const save = async () => {
    asking.forget();
    if (!await saving.tell('POST', `${store.path}/maintenance`, said())) return;
    form.current?.reset();
    preview.value = null;
    saved();
  };
  return html`<section><h2>${t('new_window')}</h2>
    <form ref=${form} class="fields" noValidate onSubmit=${show} onInput=${() => (edits.value += 1)}><${Waiting} while=${saving.busy}>
      <${Input} label=${t('start_in', { zone: own })} error=${error} name="start" type="datetime-local" required />
      <${Input} label=${t('duration')} error=${error} name="duration" required size="6" placeholder="2h" />
      <${Pick} name="repeats" label=${t('repeats')} choices=${Object.keys(RULES).map((each) => [each, t(`repeats_${each}`)])} />
      <${Input} label=${t('or_rule')} error=${error} name="rrule" size="30" placeholder="FREQ=MONTHLY;BYDAY=1SU" maxlength="500" />
      <${Pick} name="category" label=${t('category')} choices=${CATEGORIES.map((each) => [each, t(`category_${each}`)])} />
      <${Input} label=${t('title')} error=${error} name="title" maxlength="200" />
      <${Input} label=${t('reason')} error=${error} name="reason" required maxlength="1000" size="36" />
      <p class="spans"><${Press} type="submit" busy=${asking.busy}>${t('preview')}<//>
        <button type="button" disabled=${!shown} onClick=${save}>${t('save')}</button></p>
    <//></form>
    <${Trouble} error=${error} />
    ${shown && html`<${Preview} preview=${shown} own=${own} />`}
  </section>`;
}

export function Maintenance({ store, own }) {
  const changes = useSignal(0);
  const acting = useTelling();
  const { value, error } = useAsked(`${store.path}/maintenance`, changes.value);
  const changed = () => {
    changes.value += 1;
    store.refresh();
  };
  const act = async (method, window, more) => {
    if (await acting.tell(method, `${store.path}/maintenance/${window.id}${more}`)) changed();
  };
  return html`<${Trouble} error=${error ?? acting.error} />
    ${value && html`<${Planned} found=${value} own=${own} act=${may('operate') && act} busy=${acting.busy} />`}
    ${may('operate') && own && html`<${NewWindow} store=${store} own=${own} saved=${changed} />`}`;
}
