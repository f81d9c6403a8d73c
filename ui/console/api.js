// The API, and its sockets, at the address that this page came from.
import { asked, headersOf, root } from './begun.js';
import { demo, isOpen, language, renewal, signOut, token, who } from './session.js';

// An answer that is none: `code` and `message` are the API's, or say that it does not answer.
export class ApiError extends Error {
  constructor(status, { code = 'UNREACHABLE', message = '', details = {} } = {}) {
    super(message || code);
    Object.assign(this, { status, code, details });
  }
}

// In which language and of which database it is asked. As it is now: who asks within an effect does not ask again when that changes.
const asNow = () => ({ language: language.peek(), demo: demo.peek() });

// Whether there is another token by now than `used`, which was refused: it was renewed, or is.
export async function isRenewed(used) {
  if (token.peek() !== used) return token.peek() !== '';
  return renewal.peek() !== null && (await import('./renewal.js')).renew(used);
}

async function answered(path, { method = 'GET', body, tag, as = asNow(), isAgain = false } = {}) {
  const [used, person] = [token.peek(), who.peek()];
  const [url, headers] = [new URL(path, root), headersOf({ ...as, token: used })];
  let answer;
  const said = body === undefined ? {} : { body: JSON.stringify(body) };
  const type = body === undefined ? {} : { 'Content-Type': 'application/json', ...(tag && { 'If-Match': tag }) };
  try {
    answer = await (method === 'GET' ? asked(url, headers) : fetch(url, { method, headers: { ...headers, ...type }, ...said }));
  } catch {
    throw new ApiError(0);
  }
  if (answer.ok) return answer;
  // A browser that slept wakes up with a token that is over. What is asked again is the same, of the same database and by the same person.
  if (answer.status === 401 && used && !isAgain && await isRenewed(used) && who.peek() === person) {
    return answered(path, { method, body, tag, as, isAgain: true });
  }
  const error = new ApiError(answer.status, (await answer.json().catch(() => ({}))).error);
  if (answer.status === 401 && isOpen.peek() !== null && token.peek() === used) signOut(error);
  throw error;
}

export const get = async (path) => (await answered(path)).json();
export const text = async (path) => (await answered(path)).text();

// The same with its ETag, by which a change says what it is a change of.
export async function getTagged(path) {
  const answer = await answered(path);
  return [await answer.json(), answer.headers.get('ETag')];
}

// A change; what it answers, null if nothing. `tag`: of what it changes, as it was read.
export async function send(method, path, body, tag) {
  const answer = await answered(path, { method, body, tag });
  return answer.status === 204 ? null : answer.json();
}

// A file, for who has to show a token to get it.
export async function download(path, name) {
  const url = URL.createObjectURL(await (await answered(path)).blob());
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// A socket that comes back by itself: `opened` each time, `heard` with each message, `lost` with the time it was lost; `gone`: what it
// tells of is not there (any more), or not for this person, and it stays closed. Returns how to end it.
export function listen(path, { opened = () => {}, heard, lost = () => {}, gone = () => {} }) {
  let socket = null;
  let tries = 0;
  let timer = null;
  let over = false;
  // The token of its handshake is refused now: the same person goes on with a newer one, or is asked.
  const refused = async (used, why) => {
    if (!await isRenewed(used)) return over || signOut(why);
    return over || connect();
  };
  const connect = () => {
    const used = token.peek();
    const url = new URL(`${path}?demo=${demo.peek()}&language=${language.peek()}`, root);
    url.protocol = url.protocol.replace('http', 'ws');
    socket = new WebSocket(url, used ? ['bearer', used] : []);
    socket.onopen = () => opened();
    socket.onmessage = ({ data }) => {
      tries = 0;
      const message = JSON.parse(data);
      if (!message.error && message.action !== 'pong') heard(message);
    };
    socket.onclose = ({ code, reason }) => {
      if (over) return;
      if (code === 4401 || code === 4403) return void refused(used, new ApiError(401, { code, message: reason }));
      if (code === 4404) return void gone();
      lost(new Date());
      // At once, then ever more slowly, and not all browsers at the same instant.
      timer = setTimeout(connect, Math.min(15_000, 250 * 2 ** tries++) * (0.5 + Math.random()));
    };
  };
  connect();
  return () => {
    over = true;
    clearTimeout(timer);
    socket.close();
  };
}
