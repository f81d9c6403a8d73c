// A plot is a figure: drawn for eyes, with a table of the same points behind it for everybody else.
import uPlot from './uPlot.esm.js';
import { language, theme, zone } from './session.js';
import { html, useEffect, useRef, useSignal } from './view.js';
import { exact, shownZone, t, time } from './words.js';

const ROWS = 50;
const dark = matchMedia('(prefers-color-scheme: dark)');
const ink = () => {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
};

// What lies behind the lines: `shades` are [from, to, name of a colour], in seconds.
const shading = (shades) => ({
  hooks: {
    drawClear: (u) => {
      const colour = ink();
      const { ctx, bbox } = u;
      ctx.save();
      for (const [from, to, name] of shades()) {
        const left = Math.max(u.valToPos(from, 'x', true), bbox.left);
        const right = Math.min(u.valToPos(to, 'x', true), bbox.left + bbox.width);
        if (right <= left) continue;
        ctx.fillStyle = colour(name);
        ctx.fillRect(left, bbox.top, Math.max(1, right - left), bbox.height);
      }
      ctx.restore();
    },
  },
});

function options({ series, range, shades, unit, zoomed, own }, width) {
  const colour = ink();
  const axis = { stroke: colour('text'), grid: { stroke: colour('line'), width: 1 }, ticks: { stroke: colour('line') } };
  return {
    width,
    height: 220,
    tzDate: (at) => (shownZone(own) ? uPlot.tzDate(new Date(at * 1000), shownZone(own)) : new Date(at * 1000)),
    scales: { y: { range: range ?? ((_, low, high) => [Math.min(0, low), high * 1.05 || 1]) } },
    axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => `${tick}${unit ?? ''}`) }],
    series: [
      { value: (_, at) => (at ? time(at * 1000, own) : '–') },
      ...series.map(({ label, ink: name, dash }) => ({ label, stroke: colour(name), width: 1.5, dash })),
    ],
    cursor: { drag: { x: true, y: false, setScale: !zoomed } },
    hooks: zoomed && {
      setSelect: [(u) => u.select.width > 4 && zoomed(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x'))],
    },
    plugins: shades ? [shading(shades)] : [],
  };
}

// Pages of the points, newest first.
function Points({ data, series, own }) {
  const page = useSignal(0);
  const pages = Math.max(1, Math.ceil(data[0].length / ROWS));
  const at = Math.min(page.value, pages - 1);
  const rows = data[0].map((_, i) => data[0].length - 1 - i).slice(at * ROWS, at * ROWS + ROWS);
  return html`<details><summary>${t('as_table')}</summary>
    <div class="wide" tabindex="0" role="region" aria-label=${t('as_table')}><table>
      <thead><tr><th scope="col">${t('at')}</th>${series.map(({ label }) => html`<th key=${label} scope="col">${label}</th>`)}</tr></thead>
      <tbody>${rows.map((i) => html`<tr key=${i}><th scope="row">${time(data[0][i] * 1000, own)}</th>
        ${series.map((_, s) => html`<td key=${s} class="figure">${exact(data[s + 1][i])}</td>`)}</tr>`)}</tbody>
    </table></div>
    <p><button type="button" disabled=${at === 0} onClick=${() => (page.value = at - 1)}>${t('newer')}</button>
      ${` ${at + 1} / ${pages} `}
      <button type="button" disabled=${at + 1 >= pages} onClick=${() => (page.value = at + 1)}>${t('older')}</button></p>
  </details>`;
}

// `data`: seconds, then the values of each of `series` ({label, ink, dash}); null is a gap.
export function Plot(props) {
  const { title, data, series, own } = props;
  const place = useRef(null);
  const look = `${language.value} ${theme.value} ${zone.value}`;
  useEffect(() => {
    const box = place.current;
    let drawn = null;
    const draw = () => {
      drawn?.destroy();
      drawn = new uPlot(options(props, box.clientWidth || 600), data, box);
    };
    draw();
    const watching = new ResizeObserver(() => drawn.setSize({ width: box.clientWidth, height: 220 }));
    watching.observe(box);
    dark.addEventListener('change', draw);
    return () => {
      watching.disconnect();
      dark.removeEventListener('change', draw);
      drawn.destroy();
    };
  }, [data, look]);
  return html`<figure>
    <figcaption>${title}</figcaption>
    <div ref=${place} class="plot" aria-hidden="true"></div>
    <${Points} data=${data} series=${series} own=${own} />
  </figure>`;
}
