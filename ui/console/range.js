// Which time is looked at: a span that ends now, or what was zoomed into. Only the server's clock is asked.
import { html } from './view.js';
import { t, time } from './words.js';

const HOUR = 3_600_000;
export const HOURS = { '24h': 24, '7d': 168, '30d': 720, '90d': 2_160, month: 744 };
export const SPANS = Object.keys(HOURS);
// Widths of steps that the API's plots have, in minutes.
const STEPS = [1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440];
const MOST_POINTS = 1_900;
const SHORTEST = 10 * 60_000;

export const lengthOf = ({ span, from, to }) => (from === null ? HOURS[span] * HOUR : to - from);

// About two points for each of the `pixels`.
export function stepOf(range, pixels) {
  const most = Math.min(MOST_POINTS, Math.max(100, 2 * pixels));
  const minutes = lengthOf(range) / 60_000;
  return STEPS.find((step) => minutes / step <= most) ?? STEPS.at(-1);
}

const between = (from, to) => ({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });

// As parameters of a query; `monthStart`: when the month that is judged began.
export function queryOf(range, monthStart) {
  if (range.from !== null) return between(range.from, range.to);
  return range.span === 'month' && monthStart ? { from: monthStart } : {};
}

// `shown`: [from, to] that is drawn now, in milliseconds.
export function zoomedTo(range, from, to) {
  const middle = (from + to) / 2;
  const half = Math.max(SHORTEST, Math.min(to - from, HOURS['90d'] * HOUR)) / 2;
  return { ...range, from: middle - half, to: middle + half };
}

// `shown`: [from, to] of what is drawn of the range that is chosen; nothing of it yet: only what was zoomed into leads on from here. `own`: the tenant's zone.
export function RangeBar({ range, shown, own }) {
  const chosen = range.value;
  const [from, to] = chosen.from === null ? shown || [] : [chosen.from, chosen.to];
  const width = to - from;
  const go = (begin, end) => (range.value = zoomedTo(chosen, begin, end));
  const steps = [
    ['zoom_in', () => go(from + width / 4, to - width / 4)], ['zoom_out', () => go(from - width / 2, to + width / 2)],
    ['earlier', () => go(from - width / 2, to - width / 2)], ['later', () => go(from + width / 2, to + width / 2)],
  ];
  return html`<div class="spans" role="group" aria-label=${t('span')}>
    ${SPANS.map((span) => html`<button key=${span} type="button" aria-pressed=${chosen.from === null && span === chosen.span}
      onClick=${() => (range.value = { span, from: null, to: null })}>${t(`window_${span}`)}</button>`)}
    ${steps.map(([name, act]) => html`<button key=${name} type="button" disabled=${from === undefined} onClick=${act}>${t(name)}</button>`)}
    ${chosen.from !== null && html`<small role="status">${time(chosen.from, own)} – ${time(chosen.to, own)}</small>`}
  </div>`;
}
