// Live subscriptions: a WebSocket that is opened again whenever it breaks.
//
// It ends by itself only when the service said that there is nothing more (a normal close), or that it will never be
// let in (unknown tenant, no right). What happened between two sockets is not told afterwards: each begins with the
// present.

import { errorOf } from './errors.js';
import { pause } from './transport.js';

const REFUSALS = new Map([
  [4401, [401, 'UNAUTHORIZED']], [4403, [403, 'FORBIDDEN']], [4404, [404, 'TENANT_NOT_FOUND']],
]);

export class Subscription {
  #transport;
  #path;
  #first;
  #onMessage;
  #WebSocket;
  #waits;
  #socket = null;
  #ended = new AbortController();
  #settle;

  constructor(transport, path, { first = null, onMessage, onError = null, WebSocket, firstWait = 0.5, longestWait = 30 }) {
    this.reconnects = 0;
    this.#transport = transport;
    this.#path = path;
    this.#first = first;
    this.#onMessage = onMessage;
    this.#WebSocket = WebSocket;
    this.#waits = { first: firstWait, longest: longestWait, next: firstWait };
    // Fulfilled when it is over; rejected with what ended it, which nobody else is told of without `onError`.
    this.done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    if (onError) this.done.catch(onError);
    this.#run();
  }

  close() {
    this.#ended.abort();
    this.#socket?.close(1000);
  }

  async #run() {
    try {
      for (let sockets = 0; !this.#ended.signal.aborted; sockets += 1) {
        this.reconnects = Math.max(0, sockets);
        if (await this.#one()) break;
        await pause(this.#waits.next * (1 + Math.random() / 2), this.#ended.signal);
        this.#waits.next = Math.min(this.#waits.longest, this.#waits.next * 2);
      }
      this.#settle.resolve();
    } catch (error) {
      this.close();
      this.#settle.reject(error);
    }
  }

  // One socket until it is closed; whether that was the last one.
  #one() {
    return new Promise((resolve, reject) => {
      const token = this.#transport.bearer;
      const socket = new this.#WebSocket(this.#url(), token ? ['bearer', token] : []);
      this.#socket = socket;
      socket.onopen = () => this.#first && socket.send(JSON.stringify(this.#first));
      socket.onmessage = ({ data }) => {
        try {
          this.#hear(JSON.parse(data));
        } catch (error) {
          reject(error);
        }
      };
      socket.onerror = () => {}; // `close` follows, and says as much as is known
      socket.onclose = ({ code, reason }) => {
        if (!REFUSALS.has(code)) return resolve(code === 1000);
        const [status, name] = REFUSALS.get(code);
        return reject(errorOf(status, { error: { code: name, message: reason || `closed with ${code}` } }));
      };
    });
  }

  #hear(message) {
    if (this.#ended.signal.aborted) return;
    if (message.error) throw errorOf(422, message);
    if (message.action) return;
    this.#waits.next = this.#waits.first;
    this.#onMessage(message);
  }

  // A browser can set no header on a socket: the mode is in the query, the token in the protocols.
  #url() {
    const { root, isDemo } = this.#transport;
    return root.replace(/^http/, 'ws') + this.#path + (isDemo === null ? '' : `?demo=${isDemo}`);
  }
}
