// Availability over time, with what happened on it: outages, gaps by reason, what was left out, deployments.
import { Plot } from './plot.js';
import { Table } from './parts.js';
import { html, useMemo } from './view.js';
import { lasting, number, t, time } from './words.js';

const seconds = (text) => Date.parse(text) / 1000;

// Everything that is drawn on it, in order: {kind, from, to, said}; `to` null: an instant.
export function eventsOf({ annotations, incidents, deployments }, until) {
  const from = annotations ? seconds(annotations.from) : -Infinity;
  const found = [
    ...(annotations?.gaps ?? []).map((g) => ({ kind: g.reason, from: seconds(g.start), to: seconds(g.end), minutes: g.minutes })),
    ...(annotations?.exclusions ?? []).map((e) => ({
      kind: 'excluded', from: seconds(e.start), to: seconds(e.end), said: `${t(`category_${e.category}`)}: ${e.title}`,
    })),
    ...(incidents?.incidents ?? []).map((i) => ({
      kind: 'down', from: seconds(i.start), to: i.end ? seconds(i.end) : until, said: i.cause, minutes: i.down_seconds / 60,
    })),
    ...(deployments?.deployments ?? []).map((d) => ({
      kind: 'deployed', from: seconds(d.created_at), to: null, said: `${d.method} · ${t(`standing_${d.status}`)}`,
    })).filter((d) => d.from >= from && d.from <= until),
  ];
  return found.sort((a, b) => a.from - b.from);
}

// How much of each kind there is, for who reads no patterns.
function Legend({ events }) {
  const kinds = [...new Set(events.map((event) => event.kind))].sort();
  const told = (kind) => {
    const own = events.filter((event) => event.kind === kind);
    const minutes = own.reduce((sum, event) => sum + (event.minutes ?? (event.to === null ? 0 : (event.to - event.from) / 60)), 0);
    return minutes ? `${number(own.length)} × · ${lasting(minutes * 60)}` : `${number(own.length)} ×`;
  };
  return html`<ul class="legend">${kinds.map((kind) => html`<li key=${kind}>
    <span class=${`swatch ${kind}`} aria-hidden="true"></span> ${t(`kind_${kind}`)} <small>${told(kind)}</small></li>`)}</ul>`;
}

const MOST = 200;
const Events = ({ events, own }) => html`<details><summary>${t('events')} (${number(events.length)})</summary>
  <${Table} title=${t('events')} heads=${['start', 'end', 'kind', 'message']}>
    ${events.slice(-MOST).reverse().map((event) => html`<tr key=${`${event.kind} ${event.from} ${event.said}`}>
      <th scope="row">${time(event.from * 1000, own)}</th><td>${event.to === null ? '–' : time(event.to * 1000, own)}</td>
      <td>${t(`kind_${event.kind}`)}</td><td>${event.said ?? '–'}</td></tr>`)}
  <//></details>`;

// By points: what was measured, and between which bounds it surely lies.
function linesOf(points, target) {
  const up = points.map(({ availability: a, coverage: c }) => (a === null || c === null ? null : (a * c) / 100));
  return [
    points.map((point) => seconds(point.timestamp)),
    points.map((point) => point.availability),
    points.map(() => target),
    up.map((low, i) => (low === null ? null : low + 100 - points[i].coverage)),
    up,
  ];
}

export function Availability({ timeline, target, own, zoomed, ...happened }) {
  const { annotations, incidents, deployments } = happened;
  const until = seconds(timeline.to);
  const data = useMemo(() => linesOf(timeline.points, target), [timeline, target]);
  const events = useMemo(() => eventsOf(happened, until), [annotations, incidents, deployments, until]);
  const shades = useMemo(() => events.filter((event) => event.to !== null), [events]);
  const flags = useMemo(() => events.filter((event) => event.to === null).map((event) => event.from), [events]);
  const lowest = Math.min(target, ...data[1].filter((value) => value !== null));
  // A gap is no availability of 0: bounds that nothing was measured between do not stretch the scale.
  const floor = Math.max(0, lowest - Math.max(0.05, (100 - lowest) * 0.1));
  return html`<${Plot} title=${t('timeline')} data=${data} own=${own} shades=${shades} flags=${flags} zoomed=${zoomed}
    range=${() => [floor, 100]} unit=" %" band=${[3, 4]}
    series=${[
      { label: t('availability'), ink: 'accent' }, { label: t('target'), ink: 'warn', dash: [6, 4] },
      { label: t('bound_high') }, { label: t('bound_low') },
    ]}>
    <${Legend} events=${events} /><${Events} events=${events} own=${own} />
  <//>`;
}
