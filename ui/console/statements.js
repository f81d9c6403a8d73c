// The monthly statements, to take away.
import { download } from './api.js';
import { Trouble } from './parts.js';
import { html, useSignal } from './view.js';
import { language } from './session.js';
import { t } from './words.js';

const MONTHS = 12;
const FORMATS = ['html', 'pdf', 'csv', 'json'];

// The last months, this one first, as `2026-11`.
function months(now) {
  return Array.from({ length: MONTHS }, (_, i) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - i, 1)).toISOString().slice(0, 7));
}

export function Statements({ tenantId, path }) {
  const trouble = useSignal(null);
  const chosen = useSignal(months(new Date())[0]);
  const take = async (format) => {
    const name = `${tenantId}-${chosen.value}.${format}`;
    try {
      await download(`${path}/sla/report?month=${chosen.value}&format=${format}&language=${language.value}`, name);
      trouble.value = null;
    } catch (error) {
      trouble.value = error;
    }
  };
  return html`<section>
    <h2>${t('statements')}</h2>
    <p class="filters">
      <label>${t('month')} <select value=${chosen} onChange=${(event) => (chosen.value = event.target.value)}>
        ${months(new Date()).map((month) => html`<option key=${month} value=${month}>${month}</option>`)}
      </select></label>
      ${FORMATS.map((format) => html`<button key=${format} type="button" onClick=${() => take(format)}>${format.toUpperCase()}</button>`)}
    </p>
    <${Trouble} error=${trouble.value} />
  </section>`;
}
