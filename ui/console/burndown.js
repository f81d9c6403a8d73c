// How the error budget of a window was spent, against spending it evenly.
import { Plot } from './plot.js';
import { html, useMemo } from './view.js';
import { number, t } from './words.js';

const seconds = (text) => Date.parse(text) / 1000;

// [seconds, left, even, left if all gaps were up, and down], in percent of the window's budget, after each point.
// `window`: as the API tells it; of a month that is not over its budget is that of the whole.
export function burnedDown(points, until, window) {
  const total = window.error_budget.total_minutes;
  const whole = window.eligible_minutes + window.to_come_minutes;
  const share = whole > 0 ? window.eligible_minutes / whole : 1;
  let [down, gap] = [0, 0];
  const rows = points.map((point, i) => {
    down += point.down_minutes;
    gap += point.gap_minutes;
    const left = 100 - (100 * down) / total;
    const at = i + 1 < points.length ? seconds(points[i + 1].timestamp) : until;
    return [at, left, 100 - (100 * share * (i + 1)) / points.length, left, left - (100 * gap) / total];
  });
  return rows.length ? rows[0].map((_, column) => rows.map((row) => row[column])) : [[], [], [], [], []];
}

export function BurnDown({ timeline, window, own }) {
  const data = useMemo(() => burnedDown(timeline.points, seconds(timeline.to), window), [timeline, window]);
  if (!window.error_budget.total_minutes || !data[0].length) return null;
  // What a long gap might hide is told in words: it would make a line of the rest.
  const lowest = Math.min(0, ...data[1]) - 10;
  const last = data[4].at(-1);
  return html`<${Plot} title=${t('burn_down', { window: t(`window_${window.window}`) })} data=${data} own=${own} unit=" %"
    range=${() => [lowest, 105]} band=${[3, 4]}
    series=${[
      { label: t('budget_left'), ink: 'accent' }, { label: t('spent_evenly'), ink: 'warn', dash: [6, 4] },
      { label: t('bound_high') }, { label: t('bound_low') },
    ]}>
    <p><small>${t('burn_down_hint', {
      minutes: number(window.error_budget.remaining_minutes), total: number(window.error_budget.total_minutes), worst: number(last),
    })}</small></p>
  <//>`;
}
