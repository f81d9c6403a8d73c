// The statements of months, to read and to take away, with their revisions and what each changed.
import { download } from './api.js';
import { useAsked } from './asked.js';
import { Bounds, Pick, Table, Trouble } from './parts.js';
import { html, useSignal } from './view.js';
import { language } from './session.js';
import { lasting, number, percent, t, time } from './words.js';

const MONTHS = 12;
const FORMATS = ['html', 'pdf', 'csv', 'json'];

// The last months, the one of `now` first, as `2026-11`.
function months(now) {
  return Array.from({ length: MONTHS }, (_, i) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - i, 1)).toISOString().slice(0, 7));
}

// A figure, or several with their names.
function shown(value) {
  if (typeof value === 'number') return number(value);
  if (value === null || value === undefined) return '–';
  if (Array.isArray(value)) return value.map(shown).join('; ');
  if (typeof value === 'object') return Object.entries(value).map(([name, part]) => `${name} ${shown(part)}`).join(', ') || '–';
  return String(value);
}

// What a revision changed of the one before: figures as old and new, lists by what was added and removed.
function Differences({ restates }) {
  return html`<${Table} title=${t('difference')} heads=${['figure', 'before', 'after']}>
    ${Object.entries(restates).map(([name, change]) => html`<tr key=${name}><th scope="row"><code>${name}</code></th>
      ${'added' in change
        ? [change.removed, change.added].map((part, i) => html`<td key=${i}><ul class="plain">${part.map((each) =>
          html`<li key=${shown(each)}><small>${shown(each)}</small></li>`)}</ul></td>`)
        : [change.old, change.new].map((part, i) => html`<td key=${i}>${shown(part)}</td>`)}</tr>`)}
  <//>`;
}

const Figures = ({ told, own }) => html`<dl class="live">
  <div><dt>${t('status')}</dt><dd>${t(`statement_${told.state}`)}</dd></div>
  <div><dt>${t('verdict')}</dt><dd>${t(`verdict_${told.verdict}`)}</dd></div>
  <div><dt>${t('availability')}</dt><dd>${percent(told.availability)} <${Bounds} ...${told.bounds} /></dd></div>
  <div><dt>${t('down')}</dt><dd>${lasting(told.down_minutes * 60)}</dd></div>
  <div><dt>${t('coverage')}</dt><dd>${percent(told.coverage, 1)}</dd></div>
  <div><dt>${t('credit')}</dt><dd>${told.credit_percent === null ? '–' : `${number(told.credit_percent)} %`}</dd></div>
  ${told.closed_at && html`<div><dt>${t('closed_at')}</dt><dd>${time(told.closed_at, own)}</dd></div>`}
</dl>`;

export function Statements({ store, own }) {
  const list = months(new Date(store.sla.value?.as_of ?? Date.now()));
  const chosen = useSignal(null);
  const revision = useSignal(null);
  const failed = useSignal(null);
  const month = chosen.value ?? list[0];
  const asked = new URLSearchParams({ month, ...(revision.value && { revision: revision.value }) });
  const { value, error } = useAsked(`${store.path}/sla/report?${asked}`, store.changes.value);
  const take = async (format) => {
    failed.value = null;
    try {
      await download(`${store.path}/sla/report?${asked}&format=${format}&language=${language.value}`, `${store.tenantId}-${month}.${format}`);
    } catch (why) {
      failed.value = why;
    }
  };
  const pick = (event) => {
    chosen.value = event.target.value;
    revision.value = null;
  };
  return html`<section>
    <h2>${t('statements')}</h2>
    <p class="filters"><${Pick} label=${t('month')} value=${month} onChange=${pick} choices=${list.map((each) => [each, each])} />
      ${FORMATS.map((format) => html`<button key=${format} type="button" onClick=${() => take(format)}>${format.toUpperCase()}</button>`)}</p>
    ${value && html`<${Figures} told=${value} own=${own} />`}
    ${value?.revisions && html`<p class="spans" role="group" aria-label=${t('revision')}>
      ${Array.from({ length: value.revisions }, (_, i) => i + 1).map((number) => html`<button key=${number} type="button"
        aria-pressed=${number === value.revision} onClick=${() => (revision.value = number)}>${t('revision_n', { n: number })}</button>`)}</p>`}
    ${value?.restates && html`<${Differences} restates=${value.restates} />`}
    <${Trouble} error=${error ?? failed.value} />
  </section>`;
}
