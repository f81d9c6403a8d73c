// Who changed what.
import { useAsked } from './asked.js';
import { Nothing, Table, Trouble } from './parts.js';
import { html, useSignal } from './view.js';
import { t, time } from './words.js';

const LIMIT = 50;
const written = (part) => (part === null ? '–' : JSON.stringify(part, null, 1));

// What is not the same before and after; all of it where one of them is not there.
function changed(before, after) {
  if (before === null || after === null) return [before, after];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  return [before, after].map((part) => Object.fromEntries(names.filter((name) => name in part).map((name) => [name, part[name]])));
}

function Entry({ entry, own }) {
  const [before, after] = changed(entry.before, entry.after);
  return html`<tr><th scope="row">${time(entry.at, own)}</th><td>${entry.actor} <small>${entry.address}</small></td>
    <td><code>${entry.action}</code></td><td>${entry.subject}</td>
    <td><details><summary>${t('difference')}</summary><pre>${written(before)}</pre><pre>${written(after)}</pre></details></td></tr>`;
}

export function Audit({ store, own }) {
  const cursors = useSignal([null]);
  const cursor = cursors.value.at(-1);
  const asked = new URLSearchParams({ limit: LIMIT, ...(cursor && { cursor }) });
  const { value, error, isNewest } = useAsked(`${store.path}/audit?${asked}`, store.changes.value);
  return html`<${Trouble} error=${error} />
    ${value && html`<${Table} title=${t('audit')} heads=${['at', 'by', 'action', 'subject', 'difference']}>
      ${value.entries.map((entry) => html`<${Entry} key=${entry.id} entry=${entry} own=${own} />`)}
      ${!value.entries.length && html`<${Nothing} columns="5">${t('nothing_yet')}<//>`}
    <//>`}
    <p class="spans">
      <button type="button" disabled=${cursors.value.length < 2} onClick=${() => (cursors.value = cursors.value.slice(0, -1))}>${t('newer')}</button>
      <button type="button" disabled=${!value?.next_cursor || !isNewest} onClick=${() => (cursors.value = [...cursors.value, value.next_cursor])}>${t('older')}</button>
    </p>`;
}
