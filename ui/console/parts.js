// Small things that several pages show.
import { number, percent, t } from './words.js';
import { html, useEffect, useRef } from './view.js';

// A sign beside each word: status is never told by colour alone.
const SIGNS = {
  violated: '✖', at_risk: '▲', no_data: '?', meeting: '✔', up: '●', down: '■', none: '?', gap: '◌', unknown: '◌',
  firing: '■', pending: '▲', inactive: '●', resolved: '●', met: '✔', missed: '✖', undetermined: '?',
};

export const Mark = ({ is }) =>
  html`<span class=${`mark ${is}`}><span aria-hidden="true">${SIGNS[is] ?? '·'}</span> ${t(is ?? 'no_data')}</span>`;

export const Table = ({ title, heads, children }) => html`<section>
  <h2>${title}</h2>
  <div class="wide" tabindex="0" role="region" aria-label=${title}><table>
    <thead><tr>${heads.map((key) => html`<th key=${key} scope="col">${t(key)}</th>`)}</tr></thead>
    <tbody>${children}</tbody>
  </table></div>
</section>`;

export const Nothing = ({ columns, children }) => html`<tr><td colspan=${columns}>${children}</td></tr>`;

export const Pick = ({ name, label, choices, ...more }) => html`<label>${label} <select name=${name} ...${more}>
  ${choices.map(([value, said]) => html`<option key=${value} value=${value}>${said}</option>`)}</select></label>`;

// What a refusal says of one field, of what is in it, or of the `whole` that it stands for; undefined: nothing.
export const problemOf = (error, field, whole = field) =>
  error?.details.fields?.filter((each) => [field, whole].includes(each.field) || each.field.startsWith(`${field}.`))
    .map((each) => each.message).join('; ') || undefined;

// A field, and what a refusal says of it: by `name`, or by `field` where the API calls it otherwise.
export function Input({ label, error, name, field = name, whole, as = 'input', ...more }) {
  const problem = problemOf(error, field, whole);
  return html`<label>${label} <${as} name=${name} aria-invalid=${problem && 'true'} ...${more} />
    ${problem && html`<small class="trouble">${problem}</small>`}</label>`;
}

// A button whose press takes a while. It is not `disabled` meanwhile, which would take the focus from who has pressed it.
export const Press = ({ busy, onClick, children, ...more }) => html`<button type="button" ...${more} aria-disabled=${busy ? 'true' : undefined}
  onClick=${(event) => (busy ? event.preventDefault() : onClick?.(event))}>${children}</button>`;

// The fields of a form. They wait while it is sent, so that it is sent once and nothing is typed that its answer takes away; who was
// in one of them is there again afterwards.
export function Waiting({ while: isSent, children }) {
  const box = useRef(null);
  const left = useRef(null);
  const now = document.activeElement;
  if (isSent && !left.current && box.current?.contains(now)) left.current = now;
  useEffect(() => {
    if (isSent || !left.current) return;
    if (document.activeElement === document.body) left.current.focus();
    left.current = null;
  }, [isSent]);
  return html`<fieldset ref=${box} class="waiting" disabled=${isSent}>${children}</fieldset>`;
}

export function Budget({ left, label }) {
  if (left === null || left === undefined) return html`<span>–</span>`;
  const shown = Math.max(0, Math.min(100, left));
  return html`<span class="budget">
    <meter min="0" max="100" low="10" high="50" optimum="100" value=${shown} aria-label=${label}></meter>
    <span class="figure">${number(left)} %</span>
  </span>`;
}

// Between which bounds it surely lies, where they are not one.
export function Bounds({ low, high }) {
  if (low === null || low === undefined || percent(low) === percent(high)) return null;
  return html`<small class="bounds">${percent(low)} … ${percent(high)}</small>`;
}

export function Trouble({ error, again }) {
  if (!error) return null;
  const said = error.status === 0 ? t('unreachable') : error.message;
  return html`<p class="trouble" role="alert">
    ${said} <code>${error.code}</code>
    ${again && html` <button type="button" onClick=${again}>${t('try_again')}</button>`}
  </p>`;
}

// One of some words, kept in a signal.
export function Choice({ label, kept, choices }) {
  return html`<label>${label} <select value=${kept} onChange=${(event) => (kept.value = event.target.value)}>
    ${choices.map(([value, said]) => html`<option key=${value} value=${value}>${said}</option>`)}
  </select></label>`;
}
