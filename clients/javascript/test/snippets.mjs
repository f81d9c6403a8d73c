// What the source documents show of the JavaScript client, and what it promises, against the service at ECP_BASE_URL.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Conflict, ECPClient, InvalidRequest, NotFound, Unreachable } from '@ecp-ai/orchestrator-client';

const baseUrl = process.env.ECP_BASE_URL;
const client = new ECPClient({ baseUrl, isDemo: false });
let number = 0;

async function newTenant(of = client) {
  const name = `js-${process.pid}-${(number += 1)}`;
  const made = await of.createTenant({ tenant_id: name, name, service_requirements: { chatbot: 10 }, sli_source: 'push' });
  assert.equal(made.status, 'pending');
  return name;
}

// The first message of a subscription for which `wanted` holds.
function first(subscribe, wanted = () => true) {
  return new Promise((resolve, reject) => {
    const subscription = subscribe((message) => wanted(message) && (subscription.close(), resolve(message)));
    subscription.done.catch(reject);
  });
}

test('the SDK of the reference', async () => {
  const name = await newTenant();
  const tenants = await client.getTenants({ limit: 1000 });
  assert.ok(tenants.tenants.some((tenant) => tenant.tenant_id === name));
  await client.sendMetrics(name, { cpu: 65.5, memory: 78.2 });
  const data = await first((hear) => client.subscribeToMonitoring(name, hear));
  assert.deepEqual(data.metrics, { cpu: 65.5, memory: 78.2 });
});

test('pushes are answered, read back and stored once', async () => {
  const name = await newTenant();
  const timestamp = new Date(Date.now() - 60_000);
  for (let i = 0; i < 2; i += 1) {
    const result = await client.sendBatch(name, [{ metrics: { cpu: 10 }, timestamp }, { metrics: { cpu: 30 } }]);
    assert.deepEqual([result.accepted, result.rejected], [2, []]);
  }
  const { summary } = await client.getMonitoring(name, { metricType: 'cpu', hours: 1, interval: '1m' });
  assert.equal(summary.max_cpu, 30);
});

test('manifests are texts, and can be checked', async () => {
  const name = await newTenant();
  const manifest = await client.getManifest(name);
  assert.match(manifest, /kind: Namespace/);
  assert.equal((await client.validateManifest(name, manifest, { strictValidation: true })).valid, true);
});

test('a deployment is waited for', async () => {
  const demo = new ECPClient({ baseUrl, isDemo: true });
  const steps = [];
  const done = await demo.deploy(await newTenant(demo), { wait: true, onProgress: (step) => steps.push(step.status) });
  assert.equal(done.status, 'completed');
  assert.equal(steps.at(-1), 'completed');
});

test('alerts come and go, and the SLA is told', async () => {
  const name = await newTenant();
  const rule = await client.createAlert(name, { alert_name: 'hot', condition: 'cpu > 80' });
  assert.ok((await client.getAlerts(name)).alerts.some((each) => each.rule_id === rule.rule_id));
  await client.deleteAlert(name, rule.rule_id);
  const { windows } = await client.getSla(name, { windows: ['1h', '30d'] });
  assert.deepEqual(windows.map(({ window }) => window), ['1h', '30d']);
});

test('a change of what somebody else has changed is refused', async () => {
  const name = await newTenant();
  const { etag } = await client.getTenant(name);
  assert.equal((await client.updateTenant(name, { name: 'New' }, { etag })).name, 'New');
  await assert.rejects(client.updateTenant(name, { name: 'Newer' }, { etag }), Conflict);
});

test('errors say what is wrong, and by which request', async () => {
  await assert.rejects(client.createTenant({ tenant_id: 'Not A Name', name: 'x' }), (error) => {
    assert.ok(error instanceof InvalidRequest);
    assert.equal(error.code, 'VALIDATION_FAILED');
    assert.ok(error.fields.some(({ field }) => field === 'tenant_id'));
    assert.match(error.requestId, /^req-/);
    return true;
  });
  await assert.rejects(client.getTenant('nobody'), NotFound);
  assert.throws(() => client.getTenant('..'), TypeError);
  const nowhere = new ECPClient({ baseUrl: 'http://127.0.0.1:1', retries: { attempts: 1 } });
  await assert.rejects(nowhere.getTenants(), Unreachable);
});

test('a subscription to nobody ends with why', async () => {
  await assert.rejects(client.subscribeToAlerts('nobody', () => {}).done, NotFound);
});

test('a runtime without a WebSocket is told how to get one', () => {
  const { WebSocket } = globalThis;
  delete globalThis.WebSocket;
  try {
    assert.throws(() => new ECPClient({ baseUrl }).subscribeToMonitoring('acme', () => {}), /--experimental-websocket/);
  } finally {
    globalThis.WebSocket = WebSocket;
  }
});

// --- without the service

const answer = (status, body, headers = {}) =>
  new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json', ...headers } });

function scripted(...answers) {
  const seen = [];
  const fetch = async (url, options) => {
    seen.push({ url, ...options });
    const next = answers.shift();
    if (next instanceof Error) throw next;
    return next;
  };
  return { seen, client: new ECPClient({ baseUrl: 'http://x', fetch, retries: { firstWait: 0.001 } }) };
}

test('what may be repeated is repeated under one id, and waits as long as it is asked to', async (t) => {
  const waits = [];
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (call, milliseconds) => waits.push(milliseconds) && setTimeout(call, 0);
  t.after(() => Object.assign(globalThis, { setTimeout }));
  const { seen, client: one } = scripted(answer(503, {}, { 'Retry-After': '1' }), new TypeError('fetch failed'), answer(200, {}));
  await one.sendMetrics('acme', { cpu: 1 });
  assert.ok(waits[0] >= 1000 && waits[0] <= 1100);
  assert.equal(new Set(seen.map(({ headers }) => headers['X-Request-ID'])).size, 1);
  assert.equal(new Set(seen.map(({ body }) => body)).size, 1);
  assert.equal(seen.length, 3);
});

test('what may have been done is not done twice, unless nothing was done', async () => {
  const { seen, client: one } = scripted(answer(503, { error: { code: 'DATABASE_ERROR' } }));
  await assert.rejects(one.createTenant({}), { code: 'DATABASE_ERROR' });
  assert.equal(seen.length, 1);
  const limited = scripted(answer(429, { error: { code: 'RATE_LIMITED' } }, { 'Retry-After': '0' }), answer(201, {}));
  await limited.client.createTenant({});
  assert.equal(limited.seen.length, 2);
});

test('a longer wait than its patience is not begun', async () => {
  const { seen, client: one } = scripted(answer(503, {}, { 'Retry-After': '3600' }));
  await assert.rejects(one.getTenants(), { retryAfter: 3600 });
  assert.equal(seen.length, 1);
});

// A WebSocket that does what it is told.
class Played {
  static sockets = [];
  static plays = [];

  constructor(url, protocols) {
    Object.assign(this, { url, protocols, sent: [] });
    Played.sockets.push(this);
    const play = Played.plays.shift();
    setTimeout(() => {
      this.onopen?.();
      for (const message of play.messages) this.onmessage({ data: JSON.stringify(message) });
      if (play.code) this.onclose({ code: play.code, reason: play.reason ?? '' });
    });
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    setTimeout(() => this.onclose({ code, reason: '' }));
  }
}

test('a socket that breaks is opened again, asks again, and shows mode and token', async () => {
  Played.plays = [{ messages: [{ n: 1 }], code: 1013 }, { messages: [{ n: 2 }], code: 1000 }];
  const one = new ECPClient({ baseUrl: 'https://x/ecp/api/v1', isDemo: true, token: () => 'ecp_t', WebSocket: Played });
  const heard = [];
  const subscription = one.subscribeToMonitoring('acme', (message) => heard.push(message.n), { metrics: ['cpu'] });
  await subscription.done;
  assert.deepEqual(heard, [1, 2]);
  assert.equal(subscription.reconnects, 1);
  for (const socket of Played.sockets) {
    assert.equal(socket.url, 'wss://x/ecp/ws/monitoring/acme?demo=true');
    assert.deepEqual(socket.protocols, ['bearer', 'ecp_t']);
    assert.deepEqual(socket.sent, [{ action: 'subscribe', metrics: ['cpu'] }]);
  }
});
