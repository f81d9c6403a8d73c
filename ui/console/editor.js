// What a tenant is asked to be, as a form, beside what that needs and costs.
import { Sizes } from './editor_sizes.js';
import { problemOf } from './parts.js';
import { html } from './view.js';
import { t } from './words.js';

// Suggested; what else there is, the API knows.
const SERVICES = ['callbot', 'chatbot', 'advisor', 'nlp', 'stt', 'tts', 'nginx', 'redis', 'vector-db'];
const ZONES = Intl.supportedValuesOf('timeZone');

function Field({ draft, name, error, field, children, ...more }) {
  const problem = problemOf(error, field ?? name);
  const set = (event) => (draft.value = { ...draft.value, [name]: event.target.value });
  return html`<label>${t(`of_${name}`)}
    ${children ? html`<select value=${draft.value[name]} onChange=${set} ...${more}>${children}</select>`
      : html`<input value=${draft.value[name]} onInput=${set} aria-invalid=${problem ? 'true' : undefined} ...${more} />`}
    ${problem && html`<small class="trouble">${problem}</small>`}</label>`;
}

function Services({ draft, error }) {
  const { services } = draft.value;
  const put = (place, more) =>
    (draft.value = { ...draft.value, services: services.map((each, i) => (i === place ? { ...each, ...more } : each)) });
  const drop = (place) => (draft.value = { ...draft.value, services: services.filter((_, i) => i !== place) });
  const add = () => (draft.value = { ...draft.value, services: [...services, { name: '', sessions: 10 }] });
  const problem = problemOf(error, 'service_requirements');
  // Of two with one name only one would be sent: that is said before.
  const twice = ({ name }, place) => (name && services.findIndex((each) => each.name === name) < place ? t('service_twice', { name }) : '');
  return html`<fieldset><legend>${t('of_services')}</legend>
    <datalist id="services">${SERVICES.map((name) => html`<option key=${name} value=${name}></option>`)}</datalist>
    ${services.map((service, place) => html`<p key=${place} class="filters">
      <label>${t('service')} <input list="services" required value=${service.name}
        ref=${(box) => box?.setCustomValidity(twice(service, place))} onInput=${(e) => put(place, { name: e.target.value.trim() })} /></label>
      <label>${t('of_sessions')} <input type="number" min="1" required value=${service.sessions}
        onInput=${(e) => put(place, { sessions: e.target.value })} /></label>
      <button type="button" disabled=${services.length === 1} onClick=${() => drop(place)}
        aria-label=${t('remove_service', { name: service.name })}>−</button></p>`)}
    ${problem && html`<p><small class="trouble">${problem}</small></p>`}
    <button type="button" onClick=${add}>${t('add_service')}</button>
  </fieldset>`;
}

export function Editor({ draft, error, isNew }) {
  const common = { draft, error };
  return html`<div class="editor"><div>
      <div class="fields">
        ${isNew && html`<${Field} ...${common} name="tenant_id" required maxlength="56" pattern="[a-z0-9]([\\-a-z0-9]*[a-z0-9])?" />`}
        <${Field} ...${common} name="name" required maxlength="200" />
        <${Field} ...${common} name="description" maxlength="2000" />
        <${Field} ...${common} name="availability" field="sla_target.availability" required placeholder="99.9%" />
        <${Field} ...${common} name="response_time" field="sla_target.response_time" placeholder="200ms" />
        <${Field} ...${common} name="language"><option value="ko">한국어</option><option value="en">English</option><//>
        <${Field} ...${common} name="time_zone">${[...new Set([draft.value.time_zone, 'UTC', ...ZONES])].map((zone) => html`<option key=${zone} value=${zone}>${zone}</option>`)}<//>
      </div>
      <${Services} ...${common} />
    </div>
    <${Sizes} draft=${draft} isNew=${isNew} />
  </div>`;
}
