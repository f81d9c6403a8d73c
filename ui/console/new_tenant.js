// A new tenant: sized while it is typed, stored, and then to be deployed.
import { useTelling } from './asked.js';
import { bodyOf, emptyDraft } from './draft.js';
import { Editor } from './editor.js';
import { ManifestPreview } from './manifest.js';
import { Trouble, Waiting } from './parts.js';
import { useTyped } from './typed.js';
import { html, useEffect, useRef } from './view.js';
import { t } from './words.js';

export function NewTenant() {
  const [draft, forget] = useTyped('new', emptyDraft());
  const [telling, previewing] = [useTelling(), useTelling()];
  const isLeft = useRef(false);
  useEffect(() => () => void (isLeft.current = true), []);
  const save = async (event) => {
    event.preventDefault();
    previewing.forget();
    const { tenant_id, ...rest } = bodyOf(draft.value);
    const made = await telling.tell('POST', 'api/v1/tenants/', { tenant_id, ...rest });
    if (made) forget();
    // Where it is deployed, and its deployment followed; who has gone elsewhere meanwhile is left there.
    if (made && !isLeft.current) location.hash = `#/tenants/${encodeURIComponent(made.tenant_id)}/deployments`;
  };
  const form = useRef(null);
  const preview = () => (form.current.reportValidity() ? previewing.tell('POST', 'api/v1/tenants/preview-manifest', bodyOf(draft.value)) : null);
  const error = telling.error ?? previewing.error;
  return html`<main>
    <p><a href="#/">← ${t('fleet')}</a></p>
    <h1>${t('new_tenant')}</h1>
    <form ref=${form} onSubmit=${save}><${Waiting} while=${telling.busy}>
      <${Editor} draft=${draft} error=${error} isNew=${true} />
      <${Trouble} error=${error} />
      <p><button type="submit">${t('create')}</button></p>
    <//></form>
    <${ManifestPreview} preview=${preview} draft=${draft.value} />
  </main>`;
}
