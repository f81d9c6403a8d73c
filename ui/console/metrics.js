// What was measured: now, and over the time that is chosen.
import { useAsked } from './asked.js';
import { Trouble } from './parts.js';
import { Plot } from './plot.js';
import { HOURS, RangeBar, queryOf } from './range.js';
import { html, useMemo, useRef, useSignal } from './view.js';
import { exact, number, t } from './words.js';

// Plots stand beside one another where there is room: about two points for each pixel of one.
const POINTS = 2 * Math.min(700, innerWidth);

const Newest = ({ values }) => html`<dl class="live">
  ${Object.entries(values).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${exact(value)}</dd></div>`)}
</dl>`;

function Series({ name, points, own, zoomed, range }) {
  // Where steps are missing nothing is drawn: neighbours further apart than twice the usual step have a gap between them.
  const data = useMemo(() => withGaps(points), [points]);
  const [series] = useMemo(() => [[{ label: name, ink: 'accent' }]], [name]);
  return html`<${Plot} title=${name} data=${data} own=${own} series=${series} zoomed=${zoomed} range=${range} />`;
}

// What is told at once, such as an outage, comes between two steps and makes them no shorter.
export function withGaps([seconds, values]) {
  const steps = seconds.slice(1).map((at, i) => at - seconds[i]);
  const usual = steps.toSorted((one, other) => one - other)[(steps.length - 1) >> 1];
  const [at, value] = [[], []];
  seconds.forEach((second, i) => {
    if (i && steps[i - 1] > 2 * usual) at.push(seconds[i - 1] + usual), value.push(null);
    at.push(second);
    value.push(values[i]);
  });
  return [at, value];
}

function Past({ store, own }) {
  const range = store.range.value;
  const month = store.sla.value?.windows.find((w) => w.window === 'month')?.start;
  const asked = new URLSearchParams({ points: POINTS, hours: HOURS[range.span], ...queryOf(range, month) });
  const { value, error, isNewest } = useAsked(`${store.path}/monitoring?${asked}`, store.changes.value);
  const drawnOf = useRef(null);
  const drawn = useMemo(() => Object.entries(value?.metrics ?? {}).filter(([, points]) => points.length)
    .map(([name, points]) => [name, [points.map((p) => Date.parse(p.timestamp) / 1000), points.map((p) => p.value)]]), [value]);
  const zoomed = (from, to) => (store.range.value = { ...range, from: from * 1000, to: to * 1000 });
  const isOf = isNewest || range === drawnOf.current;
  if (isNewest) drawnOf.current = range;
  const shown = value && isOf && [Date.parse(value.time_range.start), Date.parse(value.time_range.end)];
  return html`<${RangeBar} range=${store.range} own=${own} shown=${shown} /><${Trouble} error=${error} />
    ${value && html`<p><small>${t('steps_of', { n: number(value.step_seconds / 60) })}</small></p>`}
    <div class="plots">${drawn.map(([name, points]) => html`<${Series} key=${name} name=${name} points=${points} own=${own} zoomed=${zoomed} />`)}</div>`;
}

function Live({ store, own }) {
  const { metrics, recent } = store.live.value;
  return html`<div class="plots">${Object.keys(metrics).map((name) => html`<${Series} key=${name} name=${name} own=${own}
    points=${[recent.map((each) => each.at), recent.map((each) => each.metrics[name] ?? null)]} />`)}</div>`;
}

export function Metrics({ store, own }) {
  const isLive = useSignal(false);
  return html`<h2>${t('metrics')}</h2>
    <${Newest} values=${store.live.value.metrics} />
    <p class="spans"><button type="button" aria-pressed=${isLive.value} onClick=${() => (isLive.value = !isLive.value)}>${t('live')}</button></p>
    ${isLive.value ? html`<${Live} store=${store} own=${own} />` : html`<${Past} store=${store} own=${own} />`}`;
}
