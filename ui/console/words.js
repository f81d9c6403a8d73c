// Sentences by key, in the language that was chosen: `en.json` and `ko.json` have the same keys.
import { asked, wordsOf } from './begun.js';
import { computed, signal } from './view.js';
import { language, zone } from './session.js';

const words = signal({});
const loaded = new Map();

// Those that did not come are asked for again, as long as they are wanted.
const AGAIN_MS = 3_000;

export async function speak(chosen) {
  // Whoever asks for them while they are on their way waits for the same ones.
  if (!loaded.has(chosen)) loaded.set(chosen, asked(wordsOf(chosen)).then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`${answer.status}`)))));
  try {
    const said = await loaded.get(chosen);
    if (chosen === language.peek()) words.value = said;
  } catch {
    loaded.delete(chosen);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    if (chosen === language.peek()) await speak(chosen);
  }
}

// `{name}` in the sentence is what `values` has of that name.
export const t = (key, values = {}) =>
  (words.value[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');

const numbers = computed(() => new Intl.NumberFormat(language.value, { maximumFractionDigits: 1 }));
export const number = (value) => (value === null || value === undefined ? '–' : numbers.value.format(value));
const precise = computed(() => new Intl.NumberFormat(language.value, { maximumFractionDigits: 3 }));
// A share of failures, say: of what is less than one the digits that count, but for what is left over of other figures.
const small = computed(() => new Intl.NumberFormat(language.value, { maximumSignificantDigits: 4 }));
const isSmall = (value) => Math.abs(value) < 1 && Math.abs(value) > 1e-9;
export const exact = (value) => (value === null || value === undefined ? '–' : (isSmall(value) ? small : precise).value.format(value));
// A mark of a scale, with the digits that tell it from the next one.
export function graded(mark, step) {
  const digits = step > 0 ? Math.min(12, Math.max(0, 1 - Math.floor(Math.log10(step)))) : 3;
  return new Intl.NumberFormat(language.value, { maximumFractionDigits: digits }).format(mark);
}

// Never rounded up to a promise that was not kept: what is cut off is cut off.
export function percent(value, digits = 3) {
  if (value === null || value === undefined) return '–';
  const scale = 10 ** digits;
  return `${(Math.floor(value * scale + 1e-9) / scale).toFixed(digits)} %`;
}

const formats = new Map();
function format(options, timeZone) {
  const key = `${language.value} ${timeZone} ${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(language.value, { ...options, timeZone }));
  return formats.get(key);
}

// The zone that times are shown in; `own`: the tenant's.
export const shownZone = (own) => (zone.value === 'tenant' && own ? own : undefined);
export function time(value, own) {
  if (!value) return '–';
  return format({ dateStyle: 'medium', timeStyle: 'medium' }, shownZone(own)).format(new Date(value));
}
// Under a plot, where there is room for little: the time of day, or the day.
export const hour = (value, own) => format({ hour: '2-digit', minute: '2-digit' }, shownZone(own)).format(new Date(value));
export const day = (value, own) => format({ month: 'short', day: 'numeric' }, shownZone(own)).format(new Date(value));
export const clock = (value, own) => format({ timeStyle: 'medium' }, shownZone(own)).format(new Date(value));

// Minutes that are told as such; nothing of which there is none.
export const inMinutes = (value) => (value === null || value === undefined ? '–' : t('minutes', { n: number(value) }));

// Prices come by the month.
export const perMonth = (cost) => cost?.replace('/month', t('per_month')) ?? '';

export function lasting(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  const whole = Math.round(seconds);
  if (whole < 120) return t('seconds', { n: number(whole) });
  if (whole < 7_200) return t('minutes', { n: number(whole / 60) });
  return t('hours', { n: number(whole / 3_600) });
}
