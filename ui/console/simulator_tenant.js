// One simulated tenant: its services and pods, what is failing, and what shall fail.
import { Mark, Press, Table, Waiting } from './parts.js';
import { html, useSignal } from './view.js';
import { lasting, number, t, time } from './words.js';

const known = (key, otherwise) => (t(key) === key ? otherwise : t(key));
export const effectOf = (type) => known(`effect_${type.failure_type}`, type.description);

function Pod({ pod }) {
  const state = !pod.ready ? 'down' : pod.reachable ? 'up' : 'at_risk';
  return html`<li><${Mark} is=${state} /> ${pod.name} <small>${[pod.phase, pod.reason, pod.node, t('restarts', { n: pod.restarts })].filter(Boolean).join(', ')}</small></li>`;
}

const Services = ({ tenant }) => html`<${Table} title=${t('services')} heads=${['service', 'state', 'design_sessions', 'pods']}>
  ${tenant.services.map((s) => html`<tr key=${s.name}>
    <th scope="row">${s.name}</th>
    <td><${Mark} is=${s.ready === 0 && s.desired > 0 ? 'down' : s.ready < s.desired ? 'at_risk' : 'up'} /> ${s.ready}/${s.desired}</td>
    <td class="figure">${number(s.sessions)} / ${number(s.design_sessions)}</td>
    <td><ul class="pods">${s.pods.map((pod) => html`<${Pod} key=${pod.uid} pod=${pod} />`)}</ul></td></tr>`)}
<//>`;

const Failures = ({ title, none, found }) => html`<${Table} title=${title} heads=${['failure', 'severity', 'target_service', 'start', 'end', 'affected']}>
  ${found.map((f) => html`<tr key=${f.id}>
    <th scope="row">${known(`failure_${f.failure_type}`, f.failure_type)}</th>
    <td class="figure">${number(f.severity)}</td><td>${f.target_service ?? t('all')}</td>
    <td>${time(f.start)}</td><td>${time(f.end)} <small>${lasting(f.duration_seconds)}</small></td>
    <td>${[...f.affected.nodes, ...f.affected.services, ...f.affected.pods].join(', ') || '–'}</td></tr>`)}
  ${!found.length && html`<tr><td colspan="6">${none}</td></tr>`}
<//>`;

function Trigger({ store, tenant }) {
  const type = useSignal('');
  const duration = useSignal('');
  const severity = useSignal('');
  const service = useSignal('');
  const types = store.types.value;
  const chosen = types.find((each) => each.failure_type === type.value) ?? types[0];
  if (!chosen) return null;
  const submit = (event) => {
    event.preventDefault();
    store.change('POST', `api/v1/failures/${encodeURIComponent(tenant.tenant_id)}`, {
      failure_type: chosen.failure_type,
      ...(duration.value && { duration_seconds: Number(duration.value) }),
      ...(severity.value && { severity: Number(severity.value) }),
      ...(service.value && { target_service: service.value }),
    });
  };
  return html`<form onSubmit=${submit}><${Waiting} while=${store.isChanging.value}>
    <div class="fields">
      <label>${t('failure')} <select value=${chosen.failure_type} onChange=${(e) => (type.value = e.target.value)}>
        ${types.map((each) => html`<option key=${each.failure_type} value=${each.failure_type}>${known(`failure_${each.failure_type}`, each.failure_type)}</option>`)}
      </select></label>
      <label>${t('duration_seconds')} <input type="number" min="1" step="any" value=${duration}
        placeholder=${chosen.default_duration_seconds} onInput=${(e) => (duration.value = e.target.value)} /></label>
      <label>${t('severity_from_to')} <input type="number" min="0.01" max="1" step="any" value=${severity}
        placeholder=${chosen.default_severity} onInput=${(e) => (severity.value = e.target.value)} /></label>
      <label>${t('target_service')} <select value=${service} onChange=${(e) => (service.value = e.target.value)}>
        <option value="">${t('all')}</option>
        ${tenant.services.map((s) => html`<option key=${s.name} value=${s.name}>${s.name}</option>`)}
      </select></label>
      <button type="submit" class="danger">${t('trigger')}</button>
    </div>
    <p><small>${effectOf(chosen)}${chosen.reach === 'cluster' ? ` ${t('reaches_all')}` : ''}</small></p>
  <//></form>`;
}

function Scenario({ store, tenant }) {
  const scenario = useSignal('');
  const names = Object.keys(store.scenarios.value);
  const chosen = scenario.value || names[0];
  if (!chosen) return null;
  const submit = (event) => {
    event.preventDefault();
    store.change('POST', `api/v1/scenarios/${encodeURIComponent(tenant.tenant_id)}`, { scenario: chosen });
  };
  return html`<form class="filters" onSubmit=${submit}><${Waiting} while=${store.isChanging.value}>
    <label>${t('scenario')} <select value=${chosen} onChange=${(e) => (scenario.value = e.target.value)}>
      ${names.map((name) => html`<option key=${name} value=${name}>${known(`scenario_${name}`, name)}</option>`)}
    </select></label>
    <button type="submit" class="danger">${t('begin')}</button>
  <//></form>`;
}

export function SimulatedTenant({ store, tenantId }) {
  // Nothing of another that was looked at before.
  const tenant = store.tenant.value?.tenant_id === tenantId ? store.tenant.value : null;
  const failures = tenant && store.failures.value;
  const end = () => store.change('DELETE', `api/v1/failures/${encodeURIComponent(tenantId)}`);
  return html`<p><a href="#/">← ${t('cluster')}</a></p>
    <h1>${tenantId}</h1>
    ${tenant && html`<p><${Mark} is=${tenant.ready === null ? 'unknown' : tenant.ready ? 'up' : 'down'} /></p>`}
    ${failures && html`<${Failures} title=${t('failing')} none=${t('nothing_fails')} found=${failures.failures} />
      ${(failures.failures.length > 0 || failures.scheduled.length > 0) && html`<p><${Press} busy=${store.isChanging.value} onClick=${end}>${t('end_all')}<//></p>`}
      ${failures.scheduled.length > 0 && html`<${Failures} title=${t('scheduled')} none="" found=${failures.scheduled} />`}`}
    ${tenant && html`<h2>${t('trigger_one')}</h2><${Trigger} store=${store} tenant=${tenant} /><${Scenario} store=${store} tenant=${tenant} />
      <${Services} tenant=${tenant} />`}`;
}
