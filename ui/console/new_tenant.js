// A new tenant: sized while it is typed, stored, and then to be deployed.
import { useTelling } from './asked.js';
import { bodyOf, emptyDraft } from './draft.js';
import { Editor } from './editor.js';
import { ManifestPreview } from './manifest.js';
import { Trouble } from './parts.js';
import { html, useRef, useSignal } from './view.js';
import { t } from './words.js';

export function NewTenant() {
  const draft = useSignal(emptyDraft());
  const telling = useTelling();
  const save = async (event) => {
    event.preventDefault();
    const { tenant_id, ...rest } = bodyOf(draft.value);
    const made = await telling.tell('POST', 'api/v1/tenants/', { tenant_id, ...rest });
    // Where it is deployed, and its deployment followed.
    if (made) location.hash = `#/tenants/${encodeURIComponent(made.tenant_id)}/deployments`;
  };
  const form = useRef(null);
  const preview = () => (form.current.reportValidity() ? telling.tell('POST', 'api/v1/tenants/preview-manifest', bodyOf(draft.value)) : null);
  return html`<main>
    <p><a href="#/">← ${t('fleet')}</a></p>
    <h1>${t('new_tenant')}</h1>
    <form ref=${form} onSubmit=${save}>
      <${Editor} draft=${draft} error=${telling.error} isNew=${true} />
      <${Trouble} error=${telling.error} />
      <p><button type="submit" disabled=${telling.busy}>${t('create')}</button></p>
    </form>
    <${ManifestPreview} preview=${preview} draft=${draft.value} />
  </main>`;
}
