// The cursor of a plot by keyboard, as a slider over its points: what stands there is said, and shown as for a mouse.
import { html, useRef, useSignal } from './view.js';
import { exact, t, time } from './words.js';

let plots = 0;

// Where the arrow keys lead from `i` of `n` points; null: nowhere.
export function moved(key, i, n, isFast) {
  const far = Math.max(1, Math.round(n / 10));
  const step = isFast ? far : 1;
  const to = { ArrowLeft: i - step, ArrowRight: i + step, PageDown: i - far, PageUp: i + far, Home: 0, End: n - 1 }[key];
  return to === undefined ? null : Math.max(0, Math.min(n - 1, to));
}

// The point at or before an instant; an instant stays where it is while points come and go around it.
function placeOf(seconds, at) {
  if (at === null) return seconds.length - 1;
  const after = seconds.findIndex((second) => second > at);
  return after < 0 ? seconds.length - 1 : Math.max(0, after - 1);
}

// Its time, what is drawn there, and what lies behind it.
export function said({ data, series, shades, unit, own }, i) {
  const at = data[0][i];
  const values = series.map(({ label }, s) => `${label} ${data[s + 1][i] === null ? t('no_value') : `${exact(data[s + 1][i])}${unit ?? ''}`}`);
  const kinds = (shades ?? []).filter(({ from, to }) => from <= at && at < to).map(({ kind }) => t(`kind_${kind}`));
  return [time(at * 1000, own), ...values, ...new Set(kinds)].join(', ');
}

function show(u, { data }, i) {
  const values = data.slice(1).map((column) => column[i]).filter((value) => value !== null);
  u?.setCursor({ left: u.valToPos(data[0][i], 'x'), top: values.length ? u.valToPos(values[0], 'y') : 0 });
}

// Half or twice of what is seen, around the point.
function zoom(u, { data, zoomed }, i, by) {
  const { min, max } = u.scales.x;
  const half = ((max - min) * by) / 2;
  zoomed(data[0][i] - half, data[0][i] + half);
}

// `props` of the plot, `drawn` a ref to uPlot's; around what is drawn.
export function Cursor({ props, drawn, children }) {
  const at = useSignal(null);
  const { data, title, zoomed } = props;
  const id = (useRef(null).current ??= `plot-keys-${++plots}`);
  const n = data[0].length;
  const i = placeOf(data[0], at.value);
  const key = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const to = moved(event.key, i, n, event.shiftKey);
    const by = { '+': 0.5, '=': 0.5, '-': 2 }[event.key];
    if (to !== null) {
      at.value = data[0][to];
      show(drawn.current, props, to);
    } else if (by && zoomed) zoom(drawn.current, props, i, by);
    else if (event.key === 'Escape') leave();
    else return;
    event.preventDefault();
  };
  const leave = () => {
    at.value = null;
    drawn.current?.setCursor({ left: -10, top: -10 });
  };
  const slider = n > 0 && {
    role: 'slider', tabindex: 0, 'aria-label': title, 'aria-describedby': id, onKeyDown: key, onBlur: leave,
    'aria-valuemin': 1, 'aria-valuemax': n, 'aria-valuenow': i + 1, 'aria-valuetext': said(props, i),
  };
  return html`<div class="cursor" ...${slider}>${children}</div>
    <p id=${id} class="keys"><small>${t(zoomed ? 'plot_keys_zoom' : 'plot_keys')}</small></p>`;
}
