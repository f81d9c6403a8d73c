// What a rule would have done: when it fires over the outages of the time, and how good it is at telling of them.
import { Nothing, Table } from './parts.js';
import { Plot } from './plot.js';
import { html, useMemo } from './view.js';
import { lasting, number, t, time } from './words.js';

const seconds = (text) => Date.parse(text) / 1000;

// A line that is 1 while the rule fires, over the whole time.
export function firingLine({ from, to, firings }) {
  const end = seconds(to);
  const steps = [[seconds(from), 0]];
  for (const { fired_at, resolved_at } of firings) {
    steps.push([seconds(fired_at), 1]);
    steps.push([resolved_at ? seconds(resolved_at) : end, 0]);
  }
  if (steps.at(-1)[0] < end) steps.push([end, 0]);
  // uPlot wants seconds that grow: of two at one instant the later one stands.
  const last = steps.filter(([at], i) => i + 1 === steps.length || steps[i + 1][0] > at);
  return [last.map(([at]) => at), last.map(([, on]) => on)];
}

// Counts of an objective know no outages: nothing is missed, and nothing a false alarm.
const ofOutages = ({ objective, missed_incidents: missed, false_alarms: alarms }) =>
  (objective ? [] : [['missed', missed], ['false_alarms', alarms]]);

const Sums = ({ trial }) => html`<dl class="live">
  ${[['messages', trial.messages], ...ofOutages(trial),
    ['suppressed', trial.suppressed], ['evaluations', trial.evaluations], ['undecided', trial.unknown_evaluations]]
    .map(([name, n]) => html`<div key=${name}><dt>${t(name)}</dt><dd>${number(n)}</dd></div>`)}
</dl>`;

export function Backtest({ trial, own }) {
  const data = useMemo(() => firingLine(trial), [trial]);
  const shades = useMemo(() => trial.incidents.map((i) => ({ kind: 'down', from: seconds(i.start), to: seconds(i.end ?? trial.to) })), [trial]);
  return html`<${Plot} title=${t('backtest')} data=${data} own=${own} shades=${shades} range=${() => [0, 1.2]}
      series=${[{ label: t('firing'), ink: 'accent', stepped: true }]}>
      ${!trial.objective && html`<ul class="legend"><li><span class="swatch down" aria-hidden="true"></span> ${t('kind_down')}${' '}
        <small>${number(trial.incidents.length)} ×</small></li></ul>`}<//>
    <${Sums} trial=${trial} />
    ${trial.objective && html`<p><small>${t('fired_n', { n: number(trial.firings.length) })}</small></p>`}
    ${!trial.objective && html`<${Table} title=${t('would_have_told')} heads=${['start', 'end', 'told_at', 'delay', 'budget_left']}>
      ${trial.incidents.map((i) => html`<tr key=${i.start}><th scope="row">${time(i.start, own)}</th><td>${time(i.end, own)}</td>
        <td>${i.detected_at ? time(i.detected_at, own) : t('never')}</td><td class="figure">${lasting(i.detection_delay_seconds)}</td>
        <td class="figure">${number(i.budget_left_minutes_at_detection)}</td></tr>`)}
      ${!trial.incidents.length && html`<${Nothing} columns="5">${t('no_incidents')}<//>`}<//>`}`;
}
