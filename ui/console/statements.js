// The statements of months, to read and to take away, with their revisions and what each changed.
import { download } from './api.js';
import { useAsked } from './asked.js';
import { Bounds, Table, Trouble } from './parts.js';
import { html, useSignal } from './view.js';
import { language } from './session.js';
import { exact, lasting, number, percent, t, time } from './words.js';

const MONTHS = 12;
const FORMATS = ['html', 'pdf', 'csv', 'json'];
const INSTANT = /^\d{4}-\d\d-\d\dT/;

const monthOf = (at) => at.toISOString().slice(0, 7);
const quarterOf = (month) => `${month.slice(0, 4)}-Q${Math.ceil(Number(month.slice(5)) / 3)}`;

// The last months, quarters and years, newest first, back to `since`: `2026-11`, `2026-Q4`, `2026`.
export function periodsOf(now, since) {
  const begin = since ? monthOf(since) : '';
  const months = Array.from({ length: MONTHS }, (_, i) => monthOf(new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - i, 1))))
    .filter((month, i) => i === 0 || month >= begin);
  const once = (names) => [...new Set(names)];
  return [months, once(months.map(quarterOf)), once(months.map((month) => month.slice(0, 4)))];
}

// What the statement calls it, in words where there are some.
function named(name) {
  const key = `figure_${name}`;
  return t(key) === key ? html`<code>${name}</code>` : t(key);
}
const plain = (name) => (t(`figure_${name}`) === `figure_${name}` ? name : t(`figure_${name}`));

// Shares of time are cut off, so that none is shown as more than it is.
const SHARES = ['availability', 'availability_other_accounting', 'low', 'high', 'coverage'];
// The bounds of a credit are no shares of time.
const CREDIT = 'credit_bounds';
// When something begins is said before anything else of it.
const FIRST = ['date', 'month', 'start', 'end'];
const placed = (entries) => entries.toSorted(([one], [other]) => (FIRST.indexOf(other) >= 0) - (FIRST.indexOf(one) >= 0)
  || FIRST.indexOf(one) - FIRST.indexOf(other));

// A figure, or several with their names.
function shown(value, own, name) {
  if (typeof value === 'number') return SHARES.includes(name) ? percent(value) : exact(value);
  if (value === null || value === undefined || value === '') return '–';
  if (Array.isArray(value)) return value.map((each) => shown(each, own)).join('; ') || '–';
  if (typeof value === 'object') return placed(Object.entries(value)).map(([part, of]) => `${plain(part)} ${shown(of, own, name === CREDIT ? name : part)}`).join(', ') || '–';
  if (typeof value === 'boolean') return t(value ? 'yes' : 'no');
  return INSTANT.test(value) ? time(value, own) : plain(value);
}

// What a revision changed of the one before: figures as old and new, lists by what was added and removed.
function Differences({ restates, own }) {
  return html`<${Table} title=${t('difference')} heads=${['figure', 'before', 'after']}>
    ${Object.entries(restates).map(([name, change]) => html`<tr key=${name}><th scope="row">${named(name)}</th>
      ${'added' in change
        ? [change.removed, change.added].map((part, i) => html`<td key=${i}>${part.length ? html`<ul class="plain">${part.map((each) =>
          html`<li key=${shown(each, own)}><small>${shown(each, own)}</small></li>`)}</ul>` : '–'}</td>`)
        : [change.old, change.new].map((part, i) => html`<td key=${i}>${shown(part, own, name)}</td>`)}</tr>`)}
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

// Each statement, and each revision of it, has an address of its own.
const Links = ({ label, path, names, chosen, said = (name) => name }) => html`<nav class="spans" aria-label=${label}>
  ${names.map((name) => html`<a key=${name} href=${`${path}/${name}`} aria-current=${`${name}` === chosen ? 'page' : undefined}>${said(name)}</a>`)}
</nav>`;

// `rest` of the address: `2026-10`, or `2026-10/2` for its second revision.
export function Statements({ store, own, rest }) {
  const now = new Date(store.sla.value?.as_of ?? Date.now());
  const since = store.detail.value && new Date(store.detail.value.created_at);
  const lists = periodsOf(now, since);
  // {asked, why}: the file that did not come.
  const failed = useSignal(null);
  const taking = useSignal(0);
  const [of, revision] = rest ? rest.split('/') : [lists[0][0]];
  const path = `#/tenants/${encodeURIComponent(store.tenantId)}/statements`;
  const asked = new URLSearchParams({ period: of, ...(revision && { revision }) });
  const { value, error } = useAsked(`${store.path}/sla/report?${asked}`, store.changes.value);
  const take = async (format) => {
    const turn = (taking.value += 1);
    failed.value = null;
    try {
      await download(`${store.path}/sla/report?${asked}&format=${format}&language=${language.value}`, `${store.tenantId}-${of}.${format}`);
    } catch (why) {
      if (taking.peek() === turn) failed.value = { asked: `${asked}`, why };
    }
  };
  const told = value?.of === of || value?.month === of ? value : null;
  const revisions = Array.from({ length: told?.revisions ?? 0 }, (_, i) => i + 1);
  return html`<section>
    <h2>${t('statements')}</h2>
    ${['months', 'quarters', 'years'].map((key, i) => html`<${Links} key=${key} label=${t(key)} path=${path} names=${lists[i]} chosen=${of} />`)}
    <h3>${of}</h3>
    ${revisions.length > 0 && html`<${Links} label=${t('revision')} path=${`${path}/${of}`} names=${revisions}
      chosen=${String(told.revision)} said=${(n) => t('revision_n', { n })} />`}
    ${told && html`<${Figures} told=${told} own=${own} />
      <p class="spans" role="group" aria-label=${t('take_away')}>${FORMATS.map((format) => html`<button key=${format} type="button"
        onClick=${() => take(format)}>${format.toUpperCase()}</button>`)}</p>`}
    ${told?.restates && html`<${Differences} restates=${told.restates} own=${own} />`}
    ${told?.revision === 1 && html`<p><small>${t('first_revision')}</small></p>`}
    <${Trouble} error=${error ?? (failed.value?.asked === `${asked}` ? failed.value.why : null)} />
  </section>`;
}
