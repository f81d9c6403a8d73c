// What was deployed and what it cost; the one that goes on, step by step; a new one, and why the gate refuses it.
import { listen } from './api.js';
import { fieldsOf, useAsked, useTelling } from './asked.js';
import { Nothing, Pick, Press, Table, Trouble, Waiting } from './parts.js';
import { may } from './session.js';
import { html, useEffect, useRef, useSignal } from './view.js';
import { inMinutes, number, perMonth, t, time } from './words.js';

const METHODS = ['', 'kubernetes', 'gitops', 'simulator'];
const RUNNING = ['pending', 'deploying'];

const Past = ({ found, own }) => html`<${Table} title=${t('deployments')} heads=${['at', 'status', 'method', 'by', 'budget_spent', 'message']}>
  ${found.deployments.map((d) => html`<tr key=${d.deployment_id}>
    <th scope="row">${time(d.created_at, own)}</th><td>${t(`standing_${d.status}`)}</td>
    <td>${d.method}</td><td>${d.requested_by}</td><td class="figure">${inMinutes(d.burned_minutes)}</td>
    <td>${d.message} ${d.forced_because && html`<br /><small>${t('forced_because', { reason: d.forced_because })}</small>`}</td></tr>`)}
  ${!found.deployments.length && html`<${Nothing} columns="6">${t('no_deployments')}<//>`}
<//>`;

// Its steps are told by a socket, which the server closes after the last.
function Progress({ id, over }) {
  const step = useSignal(null);
  useEffect(() => {
    const end = listen(`ws/deployment/${encodeURIComponent(id)}`, {
      heard: (told) => {
        step.value = told;
        if (!RUNNING.includes(told.status)) {
          end();
          over();
        }
      },
    });
    return end;
  }, [id]);
  const told = step.value;
  return told && html`<p role="status">
    <progress max="100" value=${told.progress} aria-label=${t('progress')}></progress> <span class="figure">${told.progress} %</span>
    ${` ${t(`standing_${told.status}`)} · ${t(`phase_${told.phase}`)} · ${told.message}`}</p>`;
}

function Findings({ report }) {
  return html`<p role="status">${t(report.valid ? 'valid' : 'not_valid')} · ${perMonth(report.estimated_cost)} · ${report.deployment_time ?? ''}</p>
    <ul>${[...(report.errors ?? []), ...(report.warnings ?? [])].map((said) => html`<li key=${said}>${said}</li>`)}</ul>`;
}

// `error.details.reason` of a refusal by the gate is one of its reasons.
function Gate({ error }) {
  if (error?.code !== 'ERROR_BUDGET_EXHAUSTED') return html`<${Trouble} error=${error} />`;
  const { reason, remaining_minutes: left } = error.details;
  return html`<div class="trouble" role="alert"><p>${t(`gate_${reason}`)} ${t('gate_left', { n: number(left) })}</p>
    <p><small>${error.message} <code>${error.code}</code></small></p></div>`;
}

function NewDeployment({ store, begun }) {
  const form = useRef(null);
  // {of, found}: what was said of the form as it was written then.
  const report = useSignal(null);
  const edits = useSignal(0);
  const [trying, telling] = [useTelling(), useTelling()];
  const tell = (to, dry_run) => {
    const { method, reason, force } = fieldsOf(form.current);
    return to.tell('POST', `${store.path}/deploy`, { ...(method && { method }), dry_run, ...(force && { force: true, reason: reason ?? '' }) });
  };
  const attempt = async () => {
    telling.forget();
    const of = edits.value;
    const found = await tell(trying, true);
    report.value = found && { of, found };
  };
  const deploy = async (event) => {
    event.preventDefault();
    if (!confirm(t('deploy_sure', { name: store.tenantId }))) return;
    trying.forget();
    report.value = null;
    const answer = await tell(telling, false);
    if (answer) begun(answer.deployment_id);
  };
  const shown = report.value?.of === edits.value ? report.value.found : null;
  return html`<section><h2>${t('new_deployment')}</h2>
    <form ref=${form} class="fields" onSubmit=${deploy} onInput=${() => (edits.value += 1)}><${Waiting} while=${telling.busy}>
      <${Pick} name="method" label=${t('method')} choices=${METHODS.map((each) => [each, each || t('as_set')])} />
      <label><input name="force" type="checkbox" /> ${t('force')}</label>
      <label>${t('reason')} <input name="reason" size="36" maxlength="1000" /></label>
      <p class="spans"><${Press} busy=${trying.busy} onClick=${attempt}>${t('try_it')}<//>
        <button type="submit">${t('deploy')}</button></p>
    <//></form>
    <${Gate} error=${telling.error ?? trying.error} />
    ${shown && html`<${Findings} report=${shown} />`}
  </section>`;
}

export function Deployments({ store, own }) {
  const changes = useSignal(0);
  const followed = useSignal(null);
  const { value, error } = useAsked(`${store.path}/deployments`, store.changes.value + changes.value);
  const running = followed.value ?? value?.deployments.find((d) => RUNNING.includes(d.status))?.deployment_id;
  const again = () => (changes.value += 1);
  const begun = (id) => {
    followed.value = id;
    again();
  };
  return html`<${Trouble} error=${error} />
    ${running && html`<${Progress} key=${running} id=${running} over=${again} />`}
    ${value && html`<${Past} found=${value} own=${own} />`}
    ${may('operate') && html`<${NewDeployment} store=${store} begun=${begun} />`}`;
}
