// What may be changed of a tenant: only what differs is sent, and what a deployment of it would do is told.
import { getTagged } from './api.js';
import { useTelling } from './asked.js';
import { bodyOf, changesOf, draftOf, rebased } from './draft.js';
import { Editor } from './editor.js';
import { Manifest } from './manifest.js';
import { Table, Trouble, Waiting } from './parts.js';
import { batch, html, useEffect, useSignal } from './view.js';
import { t } from './words.js';

const Effects = ({ told, tenantId }) => html`<p role="status">${t(told.redeploy_needed ? 'redeploy_needed' : 'saved')}
    ${told.redeploy_needed && html` <a href=${`#/tenants/${encodeURIComponent(tenantId)}/deployments`}>${t('deployments')}</a>`}</p>
  ${told.changes.length > 0 && html`<${Table} title=${t('what_it_changes')} heads=${['service', 'field', 'before', 'after', 'effect']}>
    ${told.changes.map((c) => html`<tr key=${`${c.service} ${c.field}`}><th scope="row">${c.service}</th><td>${c.field}</td>
      <td>${String(c.from ?? '–')}</td><td>${String(c.to ?? '–')}</td><td>${t(`does_${c.effect}`)}</td></tr>`)}
  <//>`}`;

export function Change({ store }) {
  const draft = useSignal(null);
  // {draft, tag}: as it was stored when it was read.
  const stored = useSignal(null);
  const told = useSignal(null);
  const scaling = useSignal(false);
  const [reading, saving, previewing] = [useTelling(), useTelling(), useTelling()];
  // What somebody has written stays written, over what is stored by now.
  const load = () => reading.during(async () => {
    const [detail, tag] = await getTagged(store.path);
    const is = draftOf(detail);
    batch(() => {
      draft.value = draft.peek() ? rebased(stored.peek().draft, draft.peek(), is) : is;
      stored.value = { draft: is, tag };
      saving.forget();
    });
  });
  useEffect(() => void load(), []);
  const changes = () => changesOf(bodyOf(stored.value.draft), bodyOf(draft.value));
  const save = async (event) => {
    event.preventDefault();
    previewing.forget();
    told.value = await saving.tell('PUT', store.path, { ...changes(), ...(scaling.value && { acknowledge_autoscaling: true }) }, stored.value.tag);
    if (told.value && await load()) store.refresh();
  };
  const preview = () => {
    saving.forget();
    return previewing.tell('POST', `${store.path}/manifest/preview`, changes());
  };
  const error = saving.error ?? previewing.error ?? reading.error;
  const lowers = error?.details.fields?.some((each) => each.field === 'acknowledge_autoscaling');
  return html`<h2>${t('change')}</h2>
    ${draft.value && html`<form onSubmit=${save}><${Waiting} while=${saving.busy || reading.busy}>
      <${Editor} draft=${draft} error=${error} isNew=${false} />
      <${Trouble} error=${error} again=${error?.code === 'CONFLICT' ? load : null} />
      ${(lowers || scaling.value) && html`<p><label><input type="checkbox" checked=${scaling.value}
        onChange=${(e) => (scaling.value = e.target.checked)} /> ${t('acknowledge_autoscaling')}</label></p>`}
      <p><button type="submit">${t('save')}</button></p>
    <//></form>`}
    ${!draft.value && html`<${Trouble} error=${error} again=${load} />`}
    ${told.value && html`<${Effects} told=${told.value} tenantId=${store.tenantId} />`}
    ${draft.value && html`<${Manifest} store=${store} when=${stored.value.tag} preview=${preview} />`}`;
}
