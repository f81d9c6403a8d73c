// What may be changed of a tenant: only what differs is sent, and what a deployment of it would do is told.
import { getTagged, send } from './api.js';
import { bodyOf, changesOf, draftOf } from './draft.js';
import { Editor } from './editor.js';
import { Manifest } from './manifest.js';
import { Table, Trouble } from './parts.js';
import { html, useEffect, useSignal } from './view.js';
import { t } from './words.js';

const Effects = ({ told, tenantId }) => html`<p role="status">${t(told.redeploy_needed ? 'redeploy_needed' : 'saved')}
    ${told.redeploy_needed && html` <a href=${`#/tenants/${encodeURIComponent(tenantId)}/deployments`}>${t('deployments')}</a>`}</p>
  ${told.changes.length > 0 && html`<${Table} title=${t('what_it_changes')} heads=${['service', 'field', 'before', 'after', 'effect']}>
    ${told.changes.map((c) => html`<tr key=${`${c.service} ${c.field}`}><th scope="row">${c.service}</th><td>${c.field}</td>
      <td>${String(c.from ?? '–')}</td><td>${String(c.to ?? '–')}</td><td>${t(`does_${c.effect}`)}</td></tr>`)}
  <//>`}`;

export function Change({ store }) {
  const draft = useSignal(null);
  const before = useSignal(null);
  const tag = useSignal(null);
  const told = useSignal(null);
  const error = useSignal(null);
  const scaling = useSignal(false);
  const load = async () => {
    try {
      const [detail, etag] = await getTagged(store.path);
      tag.value = etag;
      before.value = bodyOf(draftOf(detail));
      draft.value = draftOf(detail);
      error.value = null;
    } catch (problem) {
      error.value = problem;
    }
  };
  useEffect(() => void load(), []);
  const save = async (event) => {
    event.preventDefault();
    const body = { ...changesOf(before.value, bodyOf(draft.value)), ...(scaling.value && { acknowledge_autoscaling: true }) };
    try {
      told.value = await send('PUT', store.path, body, tag.value);
      await load();
    } catch (problem) {
      told.value = null;
      error.value = problem;
    }
  };
  const preview = async () => {
    try {
      error.value = null;
      return await send('POST', `${store.path}/manifest/preview`, changesOf(before.value, bodyOf(draft.value)));
    } catch (problem) {
      error.value = problem;
      return null;
    }
  };
  const lowers = error.value?.details.fields?.some((each) => each.field === 'acknowledge_autoscaling');
  return html`<h2>${t('change')}</h2>
    ${draft.value && html`<form onSubmit=${save}>
      <${Editor} draft=${draft} error=${error.value} isNew=${false} />
      <${Trouble} error=${error.value} again=${error.value?.code === 'CONFLICT' ? load : null} />
      ${(lowers || scaling.value) && html`<p><label><input type="checkbox" checked=${scaling.value}
        onChange=${(e) => (scaling.value = e.target.checked)} /> ${t('acknowledge_autoscaling')}</label></p>`}
      <p><button type="submit">${t('save')}</button></p>
    </form>`}
    ${!draft.value && html`<${Trouble} error=${error.value} again=${load} />`}
    ${told.value && html`<${Effects} told=${told.value} tenantId=${store.tenantId} />`}
    ${draft.value && html`<${Manifest} store=${store} when=${tag.value} preview=${preview} />`}`;
}
