// A rule while it is written: made of one that there is, what is tried of it, and what is sent.
const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 };
const secondsOf = (text) => {
  const [, n, unit] = /^(\d+)([smhd])$/.exec(text || '0s') ?? [];
  return unit ? n * SECONDS[unit] : null;
};
// As people write it: `300s` is `5m`.
function lasting(text) {
  const seconds = secondsOf(text);
  if (!seconds) return '';
  const unit = ['d', 'h', 'm', 's'].find((each) => seconds % SECONDS[each] === 0);
  return `${seconds / SECONDS[unit]}${unit}`;
}

// `about`: '' for a written condition; else a policy, of availability or of an objective: `page`, `page latency`.
export const aboutOf = (policy, objective) => [policy, objective].filter(Boolean).join(' ');
export function policyOf({ about }) {
  const [policy, ...objective] = about.split(' ');
  return { policy, ...(objective.length && { objective: objective.join(' ') }) };
}

export const emptyRule = () => ({
  rule_id: null, kind: 'threshold', about: '', alert_name: '', condition: '', duration: '', severity: 'warning', actions: [],
});

const headersOf = (headers) => Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`).join('\n');

// `rule` as the API shows it; values of headers are masked, and stay as they are when they are sent back so.
export const draftOfRule = (rule) => ({
  rule_id: rule.rule_id, kind: rule.kind, about: rule.policy ? aboutOf(rule.policy, rule.objective) : '', alert_name: rule.alert_name,
  condition: rule.condition, duration: lasting(rule.duration), severity: rule.severity,
  actions: rule.actions.map((action) => (action.type === 'email'
    ? { type: 'email', to: action.recipients.join(', ') }
    : { type: 'webhook', to: action.url, method: action.method, headers: headersOf(action.headers) })),
});

// Of an action without a receiver nothing is sent.
export const isWritten = ({ to }) => to.trim() !== '';

function actionOf({ type, to, method, headers }) {
  if (type === 'email') return { type, recipients: to.split(/[\s,]+/).filter(Boolean) };
  const lines = (headers ?? '').split('\n').map((line) => line.trim()).filter(Boolean);
  const pairs = lines.map((line) => line.split(/:\s*/, 1).concat(line.slice(line.indexOf(':') + 1).trim()));
  return { type, url: to.trim(), ...(method && { method }), ...(pairs.length && { headers: Object.fromEntries(pairs) }) };
}

export const bodyOfRule = (draft) => ({
  alert_name: draft.alert_name, condition: draft.condition, duration: draft.duration || '0s', severity: draft.severity,
  actions: draft.actions.filter(isWritten).map(actionOf),
});

// What is replayed of it; null: of its kind nothing can be.
export function trialOf(draft) {
  if (draft.about) return policyOf(draft);
  return draft.kind === 'threshold' ? { condition: draft.condition, duration: draft.duration || '0s' } : null;
}

// Whether it decides as the one that is stored does, so that nothing new has to be tried.
export const decidesAlike = (draft, stored) => stored !== null && JSON.stringify(trialOf(draft)) === JSON.stringify(trialOf(stored));

// Of the rules that there are the one that follows `about`.
export const ruleAbout = (rules, about) => rules.find((rule) => rule.policy && aboutOf(rule.policy, rule.objective) === about) ?? null;
