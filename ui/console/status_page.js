// Who may look at the tenant's status page: anybody, or who has a link. A link is shown once, when it is made.
import { fieldsOf, useAsked, useTelling } from './asked.js';
import { Nothing, Press, Table, Trouble, Waiting } from './parts.js';
import { may } from './session.js';
import { html, useRef, useSignal } from './view.js';
import { t, time } from './words.js';

const HEADS = ['label', 'state', 'expires', 'made_at', 'by'];
const standing = (link) => (link.good ? 'link_good' : link.withdrawn_at ? 'link_withdrawn' : 'link_over');

const Links = ({ found, own, withdraw, busy }) => html`<${Table} title=${t('links')} heads=${[...HEADS, ...(withdraw ? ['action'] : [])]}>
  ${found.links.map((link) => html`<tr key=${link.id}><th scope="row">${link.label}</th>
    <td>${t(standing(link))} ${link.withdrawn_at && html`<small>${time(link.withdrawn_at, own)} ${link.withdrawn_by}</small>`}</td>
    <td>${time(link.expires_at, own)}</td><td>${time(link.created_at, own)}</td><td>${link.created_by}</td>
    ${withdraw && html`<td>${link.good && html`<${Press} aria-label=${`${t('withdraw')}: ${link.label}`} busy=${busy}
      onClick=${() => withdraw(link)}>${t('withdraw')}<//>`}</td>`}</tr>`)}
  ${!found.links.length && html`<${Nothing} columns=${HEADS.length + 1}>${t('nothing_yet')}<//>`}
<//>`;

function Public({ found, own, choose, busy }) {
  return html`<p>${t(found.public ? 'page_is_public' : 'page_is_closed')}
      ${found.url && html` <a href=${found.url}>${found.url}</a>`}
      ${found.changed_at && html` <small>${time(found.changed_at, own)} ${found.changed_by}</small>`}</p>
    ${choose && html`<p><${Press} busy=${busy} onClick=${() => choose(!found.public)}>
      ${t(found.public ? 'close_page' : 'open_page')}<//></p>`}`;
}

// Nobody can ask for it again: it is stored nowhere.
function Given({ link }) {
  const field = useRef(null);
  const isTaken = useSignal(false);
  const take = async () => {
    field.current.select();
    // Where that is refused the link is chosen, to be copied by hand.
    isTaken.value = await navigator.clipboard.writeText(link.url).then(() => true, () => false);
  };
  return html`<div class="given" role="status"><p>${t('link_once')}</p>
    <p class="filters"><label>${t('link')} <input ref=${field} readonly size="60" value=${link.url} onFocus=${(event) => event.target.select()} /></label>
      ${navigator.clipboard && html`<button type="button" onClick=${take}>${t(isTaken.value ? 'copied' : 'copy')}</button>`}</p></div>`;
}

function NewLink({ store, made }) {
  const form = useRef(null);
  const given = useSignal(null);
  const telling = useTelling();
  const make = async (event) => {
    event.preventDefault();
    const { label, expires_in_days } = fieldsOf(form.current);
    const link = await telling.tell('POST', `${store.path}/status-page/links`, { label, expires_in_days: Number(expires_in_days) });
    if (!link) return;
    given.value = link;
    form.current?.reset();
    made();
  };
  return html`<section><h2>${t('new_link')}</h2>
    <form ref=${form} class="fields" onSubmit=${make}><${Waiting} while=${telling.busy}>
      <label>${t('link_label')} <input name="label" required maxlength="200" size="36" /></label>
      <label>${t('link_days')} <input name="expires_in_days" type="number" min="1" max="400" required value="90" /></label>
      <p class="spans"><button type="submit">${t('make_link')}</button></p>
    <//></form>
    <${Trouble} error=${telling.error} />
    ${given.value && html`<${Given} key=${given.value.id} link=${given.value} />`}
  </section>`;
}

export function StatusPage({ store, own }) {
  const changes = useSignal(0);
  const acting = useTelling();
  const { value, error, isNewest } = useAsked(`${store.path}/status-page`, changes.value);
  const act = async (method, more, body) => {
    if (await acting.tell(method, `${store.path}/status-page${more}`, body)) changes.value += 1;
  };
  const choose = (isPublic) => (!isPublic || confirm(t('open_page_sure'))) && act('PUT', '', { public: isPublic });
  const withdraw = (link) => confirm(t('withdraw_sure', { name: link.label })) && act('DELETE', `/links/${link.id}`);
  return html`<h2>${t('status_page')}</h2><p><small>${t('status_page_hint')}</small></p>
    <${Trouble} error=${error ?? acting.error} />
    ${value && html`<${Public} found=${value} own=${own} choose=${may('operate') && choose} busy=${acting.busy || !isNewest} />
      <${Links} found=${value} own=${own} withdraw=${may('operate') && withdraw} busy=${acting.busy} />`}
    ${may('operate') && html`<${NewLink} store=${store} made=${() => (changes.value += 1)} />`}`;
}
