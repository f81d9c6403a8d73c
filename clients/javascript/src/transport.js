// Sending requests, and again where that is right.
//
// A request that nobody knows the fate of is sent again only if it is repeatable; one that was refused before anything
// was done (429, OVERLOADED) is, whatever it asks for. All attempts carry the same X-Request-ID.

import { ECPError, NotFound, Unreachable, didNothing, errorOf, passes } from './errors.js';

export const RETRIES = Object.freeze({ attempts: 6, seconds: 60, firstWait: 0.2, longestWait: 10 });

export const pause = (seconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(done, seconds * 1000);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    if (signal?.aborted) done();
    else signal?.addEventListener('abort', done);
  });

// The service's address: sockets are not below /api/v1, which people give as the base.
export function rootOf(baseUrl) {
  const root = baseUrl.replace(/\/+$/, '').replace(/\/api\/v1$/, '');
  if (!/^https?:\/\//.test(root)) throw new TypeError(`${baseUrl} is no http:// or https:// address`);
  return root;
}

// A name as one part of a path; what would lead to another place is refused here.
export function segment(name) {
  if (typeof name !== 'string' || ['', '.', '..'].includes(name)) throw new TypeError(`${name} is no name`);
  return encodeURIComponent(name);
}

// A query string without what was not given.
export function query(given) {
  const parts = Object.entries(given ?? {}).filter(([, value]) => value !== undefined && value !== null);
  const text = new URLSearchParams(parts.map(([name, value]) => [name, told(value)])).toString();
  return text ? `?${text}` : '';
}

function told(value) {
  if (value instanceof Date) return value.toISOString();
  return Array.isArray(value) ? value.map(told).join(',') : String(value);
}

export function retryAfterOf(header, now = Date.now()) {
  if (header === null) return null;
  if (/^\s*\d+\s*$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, (at - now) / 1000);
}

export class Transport {
  constructor({ root, isDemo, token, language, timeout, retries, fetch }) {
    Object.assign(this, { root, isDemo, token, language, timeout, fetch });
    this.retries = { ...RETRIES, ...retries };
  }

  get bearer() {
    return typeof this.token === 'function' ? this.token() : this.token;
  }

  headers() {
    const found = {};
    if (this.isDemo !== null) found['X-Demo-Mode'] = String(this.isDemo);
    if (this.language) found['Accept-Language'] = this.language;
    const token = this.bearer;
    if (token) found.Authorization = `Bearer ${token}`;
    return found;
  }

  // The answer: parsed JSON, a text, or null where there is none. Throws ECPError, of the last attempt.
  async send(method, path, { body, headers = {}, repeatable = false, goneIsDone = false, read = whatever } = {}) {
    const { attempts, seconds, firstWait, longestWait } = this.retries;
    const requestId = `req-${Math.random().toString(16).slice(2, 18)}`;
    const end = Date.now() + seconds * 1000;
    let unsure = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await read(await this.#once(method, path, body, headers, requestId));
      } catch (error) {
        if (!(error instanceof ECPError)) throw error;
        if (error instanceof NotFound && unsure && goneIsDone) return null;
        const again = passes(error) && (repeatable || didNothing(error)) && attempt < attempts;
        const backoff = Math.min(longestWait, firstWait * 2 ** (attempt - 1) + Math.random() * firstWait);
        const wait = error.retryAfter === null ? backoff : error.retryAfter * (1 + Math.random() / 10);
        if (!again || Date.now() + wait * 1000 > end) throw error;
        unsure ||= !didNothing(error);
        await pause(wait);
      }
    }
  }

  async #once(method, path, body, more, requestId) {
    const headers = { ...this.headers(), ...more, 'X-Request-ID': requestId };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const signal = AbortSignal.timeout(this.timeout * 1000);
    let answer;
    let text;
    try {
      answer = await this.fetch(this.root + path, { method, headers, body: sent, signal, redirect: 'manual' });
      text = await answer.text();
    } catch (cause) {
      const timedOut = cause?.name === 'TimeoutError';
      throw new Unreachable(cause?.cause?.message ?? cause?.message ?? String(cause), { requestId, timedOut, cause });
    }
    if (answer.ok) return { headers: answer.headers, text };
    throw errorOf(answer.status, parsed(text), {
      requestId: answer.headers.get('X-Request-ID') ?? requestId,
      retryAfter: retryAfterOf(answer.headers.get('Retry-After')),
    });
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function whatever({ headers, text }) {
  if (!text) return null;
  return (headers.get('Content-Type') ?? '').includes('json') ? JSON.parse(text) : text;
}
