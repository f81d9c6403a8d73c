// A plot is a figure: drawn for eyes, with a table of the same points behind it for everybody else.
import uPlot from './uPlot.esm.js';
import { Cursor } from './plot_cursor.js';
import { language, theme, zone } from './session.js';
import { marking } from './shades.js';
import { html, useEffect, useRef, useSignal } from './view.js';
import { clock as secondly, day, exact, graded, hour, shownZone, t, time } from './words.js';

// Its own styles, before the first is drawn; without them it is drawn all the same.
await new Promise((resolve) => {
  const link = document.createElement('link');
  Object.assign(link, { rel: 'stylesheet', href: new URL('./uPlot.min.css', import.meta.url), onload: resolve, onerror: resolve });
  document.head.prepend(link);
});

const ROWS = 50;
const HEIGHT = 220;
const dark = matchMedia('(prefers-color-scheme: dark)');
const ink = () => {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
};

const chosen = (u, zoomed) => {
  const { left, width } = u.select;
  if (width > 4) zoomed(u.posToVal(left, 'x'), u.posToVal(left + width, 'x'));
};
// The day stands under the first tick of it.
const DAY = 86_400;
function ticks(seconds, step, own) {
  const days = seconds.map((at) => day(at * 1000, own));
  if (step >= DAY) return days;
  const clock = step < 60 ? secondly : hour;
  return seconds.map((at, i) => `${clock(at * 1000, own)}${days[i] === days[i - 1] ? '' : `\n${days[i]}`}`);
}
// Pixels between two ticks: the longest that stands under one is a time of day with seconds, in Korean.
const TICK = 90;
// Pixels beside the scale: for what stands there, a large number in full.
const roomFor = (labels) => Math.max(64, 20 + 8 * Math.max(0, ...(labels ?? []).map((label) => label.length)));
const usual = (_, low, high) => [Math.min(0, low), high * 1.05 || 1];

// `now()` are the props of now: what is drawn later is drawn by them.
function options(now, width) {
  const { series, band, unit, zoomed, own } = now();
  const colour = ink();
  const axis = { stroke: colour('text'), grid: { stroke: colour('line'), width: 1 }, ticks: { stroke: colour('line') } };
  return {
    width,
    height: HEIGHT,
    tzDate: (at) => (shownZone(own) ? uPlot.tzDate(new Date(at * 1000), shownZone(own)) : new Date(at * 1000)),
    scales: { y: { range: (u, low, high) => (now().range ?? usual)(u, low ?? 0, high ?? 0) } },
    axes: [
      { ...axis, space: TICK, values: (_, seconds, __, ___, step) => ticks(seconds, step, own) },
      { ...axis, size: (_, labels) => roomFor(labels), values: (_, marks, __, ___, step) => marks.map((mark) => `${graded(mark, step)}${unit ?? ''}`) },
    ],
    series: [
      { label: t('at'), value: (_, at) => (at ? time(at * 1000, own) : '–') },
      ...series.map(({ label, ink: name, dash, stepped }) => ({
        label, stroke: name ? colour(name) : 'transparent', width: 1.5, dash, paths: stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
        value: (_, value) => exact(value),
      })),
    ],
    bands: band && [{ series: band, fill: colour('band') }],
    cursor: { drag: { x: true, y: false, setScale: !zoomed } },
    hooks: zoomed && { setSelect: [(u) => chosen(u, now().zoomed)] },
    plugins: [marking(now, ink)],
  };
}

// Pages of the points, newest first.
function Points({ data, series, own }) {
  const page = useSignal(0);
  const pages = Math.max(1, Math.ceil(data[0].length / ROWS));
  const at = Math.min(page.value, pages - 1);
  const rows = data[0].map((_, i) => data[0].length - 1 - i).slice(at * ROWS, at * ROWS + ROWS);
  return html`<div class="wide" tabindex="0" role="region" aria-label=${t('as_table')}><table>
      <thead><tr><th scope="col">${t('at')}</th>${series.map(({ label }) => html`<th key=${label} scope="col">${label}</th>`)}</tr></thead>
      <tbody>${rows.map((i) => html`<tr key=${i}><th scope="row">${time(data[0][i] * 1000, own)}</th>
        ${series.map((_, s) => html`<td key=${s} class="figure">${exact(data[s + 1][i])}</td>`)}</tr>`)}</tbody>
    </table></div>
    <p><button type="button" disabled=${at === 0} onClick=${() => (page.value = at - 1)}>${t('newer')}</button>
      ${` ${at + 1} / ${pages} `}
      <button type="button" disabled=${at + 1 >= pages} onClick=${() => (page.value = at + 1)}>${t('older')}</button></p>`;
}

// The table is made when it is opened: of 30 plots with a thousand points nobody opens many.
function Behind(props) {
  const open = useSignal(false);
  return html`<details onToggle=${(event) => (open.value = event.currentTarget.open)}><summary>${t('as_table')}</summary>
    ${open.value && html`<${Points} ...${props} />`}</details>`;
}

// `data`: seconds, then the values of each of `series` ({label, ink, dash, stepped}; without `ink` no line); null is a gap. `band`: numbers of
// the two series that bound it; `shades` and `flags`: see shades.js; `zoomed`: told the seconds that were chosen.
export function Plot(props) {
  const { title, data, series, own, shades, flags, children } = props;
  const place = useRef(null);
  const drawn = useRef(null);
  const latest = useRef(props);
  latest.current = props;
  const look = `${language.value} ${theme.value} ${zone.value} ${series.map(({ label }) => label)}`;
  useEffect(() => {
    const box = place.current;
    const draw = () => {
      drawn.current?.destroy();
      drawn.current = new uPlot(options(() => latest.current, box.clientWidth || 600), latest.current.data, box);
    };
    draw();
    const watching = new ResizeObserver(() => drawn.current.setSize({ width: box.clientWidth, height: HEIGHT }));
    watching.observe(box);
    dark.addEventListener('change', draw);
    return () => {
      watching.disconnect();
      dark.removeEventListener('change', draw);
      drawn.current.destroy();
      drawn.current = null;
    };
  }, [look]);
  useEffect(() => drawn.current?.setData(data), [data]);
  useEffect(() => drawn.current?.redraw(false), [shades, flags]);
  return html`<figure>
    <figcaption>${title}</figcaption>
    <${Cursor} props=${props} drawn=${drawn}><div ref=${place} class="plot" aria-hidden="true"></div><//>
    ${children}
    <${Behind} data=${data} series=${series} own=${own} />
  </figure>`;
}
