// Client of the ECP-AI orchestrator, for browsers and Node. What it does is in index.d.ts, and in docs/clients.md.

import { DeploymentFailed, NotFound } from './errors.js';
import { Subscription } from './streams.js';
import { Transport, query, rootOf, segment } from './transport.js';

export * from './errors.js';
export { Subscription };

const API = '/api/v1';
const READ = { repeatable: true };
const tenantPath = (tenantId, ...parts) => [`${API}/tenants`, ...[tenantId, ...parts].map(segment)].join('/');
const asText = ({ text }) => text;

export class ECPClient {
  #transport;
  #WebSocket;

  constructor({
    baseUrl = 'http://localhost:8001/api/v1',
    isDemo = false,
    token = null,
    language = null,
    timeout = 30,
    retries = {},
    fetch = globalThis.fetch.bind(globalThis),
    WebSocket = globalThis.WebSocket,
  } = {}) {
    this.#transport = new Transport({ root: rootOf(baseUrl), isDemo, token, language, timeout, retries, fetch });
    this.#WebSocket = WebSocket;
  }

  request(method, path, { query: asked, body, repeatable } = {}) {
    const again = repeatable ?? ['GET', 'HEAD', 'PUT'].includes(method.toUpperCase());
    return this.#transport.send(method.toUpperCase(), path + query(asked), { body, repeatable: again });
  }

  #get(path, asked) {
    return this.#transport.send('GET', path + query(asked), READ);
  }

  #post(path, body, more) {
    return this.#transport.send('POST', path, { body, ...more });
  }

  // --- tenants

  getTenants({ skip, limit, preset, status } = {}) {
    return this.#get(`${API}/tenants/`, { skip, limit, preset, status });
  }

  getTenant(tenantId) {
    return this.#transport.send('GET', tenantPath(tenantId), {
      ...READ,
      read: ({ headers, text }) => ({ ...JSON.parse(text), etag: headers.get('ETag') ?? undefined }),
    });
  }

  createTenant(tenant) {
    return this.#post(`${API}/tenants/`, tenant);
  }

  updateTenant(tenantId, changes, { etag } = {}) {
    const headers = etag === undefined ? {} : { 'If-Match': etag };
    const more = { body: changes, headers, repeatable: etag === undefined };
    return this.#transport.send('PUT', tenantPath(tenantId), more);
  }

  deleteTenant(tenantId, { force } = {}) {
    return this.#transport.send('DELETE', tenantPath(tenantId) + query({ force }));
  }

  calculateResources(serviceRequirements, slaTarget) {
    const body = { service_requirements: serviceRequirements, sla_target: slaTarget };
    return this.#post(tenantPath('calculate-resources'), body, READ);
  }

  // --- measurements

  // Stamped here, so that it may be sent again: the same series at the same instant is stored once.
  sendMetrics(tenantId, metrics, { timestamp = new Date() } = {}) {
    return this.sendBatch(tenantId, [{ metrics, timestamp }]);
  }

  sendBatch(tenantId, entries) {
    const now = new Date();
    const body = entries.map((entry) => ({ ...entry, timestamp: new Date(entry.timestamp ?? now).toISOString() }));
    return this.#post(tenantPath(tenantId, 'monitoring'), body.length === 1 ? body[0] : body, READ);
  }

  getMonitoring(tenantId, { metricType, hours, interval } = {}) {
    return this.#get(tenantPath(tenantId, 'monitoring'), { metric_type: metricType, hours, interval });
  }

  getSystemMetrics() {
    return this.#get(`${API}/monitoring/system`);
  }

  // --- manifests and deployments

  getManifest(tenantId, { format, includeMonitoring, includeIngress, namespace } = {}) {
    const asked = { format, include_monitoring: includeMonitoring, include_ingress: includeIngress, namespace };
    return this.#transport.send('GET', tenantPath(tenantId, 'manifest') + query(asked), { ...READ, read: asText });
  }

  validateManifest(tenantId, manifest, { strictValidation, targetSimulator, kubernetesVersion } = {}) {
    const body = {
      tenant_id: tenantId,
      manifest_content: manifest,
      strict_validation: strictValidation,
      target_simulator: targetSimulator,
      kubernetes_version: kubernetesVersion,
    };
    return this.#post(tenantPath('validate-manifest'), body, READ);
  }

  async deploy(tenantId, { method = 'kubernetes', wait = false, onProgress = () => {}, ...options } = {}) {
    const body = {
      method,
      dry_run: options.dryRun,
      include_monitoring: options.includeMonitoring,
      include_ingress: options.includeIngress,
      force: options.force,
      reason: options.reason,
    };
    const begun = await this.#post(tenantPath(tenantId, 'deploy'), body, { repeatable: options.dryRun === true });
    if (!wait || begun.deployment_id === null) return begun;
    await this.followDeployment(begun.deployment_id, onProgress).done;
    const { deployments } = await this.getDeployments(tenantId, { limit: 100 });
    const found = deployments.find((each) => each.deployment_id === begun.deployment_id);
    if (!found) throw new NotFound('the deployment is over, and no longer listed', { code: 'NOT_FOUND' });
    if (found.status !== 'completed') {
      const why = `${found.status}: ${found.message}`;
      throw new DeploymentFailed(why, { code: 'DEPLOYMENT_FAILED', details: found });
    }
    return found;
  }

  getDeploymentStatus(tenantId) {
    return this.#get(tenantPath(tenantId, 'deployment-status'));
  }

  getDeployments(tenantId, { limit } = {}) {
    return this.#get(tenantPath(tenantId, 'deployments'), { limit });
  }

  reportDeployment(tenantId, status, { deployedAt, message } = {}) {
    return this.#post(tenantPath(tenantId, 'deployment-status'), { status, deployed_at: deployedAt, message });
  }

  // --- SLA and alerts

  getSla(tenantId, { windows, at } = {}) {
    return this.#get(tenantPath(tenantId, 'sla'), { windows, at });
  }

  getSlaAnalysis(tenantId, { period } = {}) {
    return this.#get(`${API}/simulator/sla/${segment(tenantId)}/analysis`, { period });
  }

  getSlaSummary() {
    return this.#get(`${API}/sla/summary`);
  }

  getIncidents(tenantId, { since, until } = {}) {
    return this.#get(tenantPath(tenantId, 'incidents'), { from: since, to: until });
  }

  createAlert(tenantId, rule) {
    return this.#post(tenantPath(tenantId, 'alerts'), rule);
  }

  getAlerts(tenantId) {
    return this.#get(tenantPath(tenantId, 'alerts'));
  }

  getActiveAlerts(tenantId) {
    return this.#get(tenantPath(tenantId, 'alerts', 'active'));
  }

  deleteAlert(tenantId, ruleId) {
    return this.#transport.send('DELETE', tenantPath(tenantId, 'alerts', ruleId), { ...READ, goneIsDone: true });
  }

  // --- live

  subscribeToMonitoring(tenantId, onMessage, { metrics, interval, onError } = {}) {
    const first = { action: 'subscribe', metrics, interval };
    return this.#subscribe(`/ws/monitoring/${segment(tenantId)}`, onMessage, onError, first);
  }

  subscribeToRealtime(tenantId, onMessage, { onError } = {}) {
    return this.#subscribe(`${API}/simulator/realtime/${segment(tenantId)}`, onMessage, onError);
  }

  subscribeToAlerts(tenantId, onMessage, { onError } = {}) {
    return this.#subscribe(`/ws/alerts/${segment(tenantId)}`, onMessage, onError);
  }

  followDeployment(deploymentId, onMessage, { onError } = {}) {
    return this.#subscribe(`/ws/deployment/${segment(deploymentId)}`, onMessage, onError);
  }

  #subscribe(path, onMessage, onError, first) {
    if (this.#WebSocket === undefined) {
      throw new TypeError(
        'this runtime has no WebSocket: Node has one from version 22 on, Node 20 with `node --experimental-websocket`; ' +
          'or give one to the client, `new ECPClient({ WebSocket })`',
      );
    }
    return new Subscription(this.#transport, path, { first, onMessage, onError, WebSocket: this.#WebSocket });
  }
}
