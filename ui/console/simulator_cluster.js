// The cluster: its nodes, its tenants, those first with which something is wrong, and what is failing.
import { Mark, Table } from './parts.js';
import { ASKED } from './simulator_store.js';
import { html } from './view.js';
import { number, t } from './words.js';

const GIB = 1024 ** 3;

function Share({ used, whole, said, label }) {
  return html`<span class="node-share">
    <meter min="0" max="100" low="70" high="90" optimum="0" value=${whole ? (100 * used) / whole : 0} aria-label=${label}></meter>
    <span class="figure">${said}</span></span>`;
}

function Node({ node }) {
  const { used, capacity } = node;
  const shares = [
    ['cpu', used.cpu_millicores / 1000, capacity.cpu_millicores / 1000, ''],
    ['memory', used.memory_bytes / GIB, capacity.memory_bytes / GIB, ' GiB'],
    ['gpu', used.gpu, capacity.gpu, ''],
  ];
  return html`<tr><th scope="row">${node.name}</th>
    <td><${Mark} is=${node.ready ? 'up' : 'down'} /></td>
    ${shares.map(([key, taken, whole, unit]) => html`<td key=${key}><${Share} used=${taken} whole=${whole}
      label=${`${node.name} ${t(key)}`} said=${`${number(taken)} / ${number(whole)}${unit}`} /></td>`)}</tr>`;
}

function Tenant({ tenant, failing }) {
  return html`<tr>
    <th scope="row"><a href=${`#/tenants/${tenant.tenant_id}`}>${tenant.tenant_id}</a></th>
    <td><${Mark} is=${tenant.ready === null ? 'unknown' : tenant.ready ? 'up' : 'down'} /></td>
    <td>${tenant.services.map((s) => html`<span key=${s.service} class=${`mark ${s.ready < s.desired ? 'at_risk' : ''}`}>
      ${s.ready < s.desired ? html`<span aria-hidden="true">▲ </span>` : ''}${s.service} ${s.ready}/${s.desired} </span>`)}</td>
    <td>${failing?.length ? failing.map((f) => t(`failure_${f.failure_type}`)).join(', ') : '–'}</td>
    <td class="figure">${number(tenant.metrics.network_rps)}</td>
    <td class="figure">${number(tenant.metrics.response_time)} ms</td>
    <td class="figure">${number(100 * tenant.metrics.error_rate)} %</td></tr>`;
}

const Pods = ({ pods }) => html`<ul class="counts">
  ${Object.entries(pods).map(([phase, count]) => html`<li key=${phase}>${phase} <b>${number(count)}</b></li>`)}
</ul>`;

export function Cluster({ store }) {
  const system = store.system.value;
  const tenants = store.tenants.value;
  if (!system || !tenants) return html`<h1>${t('cluster')}</h1><p aria-busy="true"></p>`;
  return html`<h1>${t('cluster')}</h1>
    <h2>${t('pods')}</h2>
    <${Pods} pods=${system.pods} />
    <${Table} title=${t('nodes')} heads=${['node', 'state', 'cpu', 'memory', 'gpu']}>
      ${system.nodes.map((node) => html`<${Node} key=${node.name} node=${node} />`)}
    <//>
    <${Table} title=${t('tenants')} heads=${['tenant', 'state', 'services', 'failing', 'requests_per_second', 'response_time', 'error_rate']}>
      ${tenants.map((tenant) => html`<${Tenant} key=${tenant.tenant_id} tenant=${tenant} failing=${store.failing.value[tenant.tenant_id]} />`)}
      ${!tenants.length && html`<tr><td colspan="7">${t('no_simulated')}</td></tr>`}
    <//>
    ${tenants.length > ASKED && html`<p><small>${t('failing_of_some', { n: ASKED })}</small></p>`}`;
}
