// What the draft needs and what it costs, asked while somebody types; other presets beside it.
import { send } from './api.js';
import { requirementsOf, targetOf } from './draft.js';
import { Trouble } from './parts.js';
import { language } from './session.js';
import { html, useEffect, useSignal } from './view.js';
import { perMonth, t } from './words.js';

// So long nobody must have typed.
const PAUSE_MS = 300;
const ROWS = ['cpu', 'memory', 'gpu', 'storage'];

export function Sizes({ draft }) {
  const found = useSignal(null);
  const trouble = useSignal(null);
  const asked = JSON.stringify({ service_requirements: requirementsOf(draft.value), sla_target: targetOf(draft.value) });
  useEffect(() => {
    let over = false;
    const timer = setTimeout(async () => {
      try {
        const answer = await send('POST', 'api/v1/tenants/calculate-resources', JSON.parse(asked));
        if (!over) [found.value, trouble.value] = [answer, null];
      } catch (error) {
        // What is half typed is no size yet: what it was before stays, and what is wrong is said. What is too large has none.
        if (!over) [found.value, trouble.value] = [error.code === 'VALIDATION_FAILED' ? found.value : null, error];
      }
    }, PAUSE_MS);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [asked, language.value]);
  return html`<section aria-live="polite">
    <h2>${t('needs')}</h2>
    <${Trouble} error=${trouble.value} />
    ${found.value && html`<${Choices} found=${found.value} draft=${draft} />`}
  </section>`;
}

// The recommended one and its alternatives side by side: one of them is chosen.
function Choices({ found, draft }) {
  const all = [
    { preset: found.recommended_preset, resources: found.resources, cost: found.estimated_cost, performance_impact: t('recommended') },
    ...found.alternatives,
  ];
  const choose = (preset) => (draft.value = { ...draft.value, preset });
  return html`<div class="wide" tabindex="0" role="region" aria-label=${t('needs')}><table class="sizes">
    <thead><tr><th scope="col">${t('preset')}</th>${all.map((each) => html`<th key=${each.preset} scope="col">${each.preset}</th>`)}</tr></thead>
    <tbody>
      ${ROWS.map((key) => html`<tr key=${key}><th scope="row">${t(key)}</th>
        ${all.map((each) => html`<td key=${each.preset} class="figure">${each.resources[key]}</td>`)}</tr>`)}
      <tr><th scope="row">${t('cost')}</th>${all.map((each) => html`<td key=${each.preset} class="figure"><b>${perMonth(each.cost)}</b></td>`)}</tr>
      <tr><th scope="row">${t('what_it_means')}</th>${all.map((each) => html`<td key=${each.preset}><small>${each.performance_impact}</small></td>`)}</tr>
      <tr><th scope="row">${t('choice')}</th>${all.map((each) => html`<td key=${each.preset}>
        <button type="button" aria-pressed=${(draft.value.preset || found.recommended_preset) === each.preset}
          onClick=${() => choose(each.preset)}>${t('take_preset', { preset: each.preset })}</button></td>`)}</tr>
    </tbody>
  </table></div>`;
}
