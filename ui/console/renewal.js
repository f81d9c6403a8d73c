// A signed token is renewed before it ends, with the refresh token that its issuer gave (RFC 6749, section 6).
//
// known ──(a minute before its end, a fifth of short ones)──► asked ──given──► known, by the same person
//   asked ──no answer──► asked again while the token holds      asked ──refused──► not renewable: it ends when it ends
// Of several who need it one asks. A refresh token that comes with the answer takes the old one's place, and is used once.
import { get } from './api.js';
import { chosen, claims, given } from './oidc.js';
import { ends, learn, renewal, token } from './session.js';
import { batch, effect } from './view.js';

const BEFORE_MS = 60_000;
const SHARE = 0.8;
// Between two tries.
const REST_MS = 5_000;
// More a timer of a browser cannot wait.
const LONGEST_MS = 2 ** 31 - 1;

let underWay = null;
let renewedAt = -Infinity;

// Whether there is another token now than `used`. What the issuer gave just now and the API refuses is not worth another try.
export async function renew(used) {
  // Another asked for it, and has it by now.
  if (token.peek() !== used) return token.peek() !== '';
  if (underWay === null && Date.now() - renewedAt < REST_MS) return false;
  return (underWay ??= renewed().finally(() => (underWay = null)));
}

async function renewed() {
  const kept = renewal.peek();
  if (!kept) return false;
  let said;
  let found;
  try {
    said = await given(kept.token_endpoint, { grant_type: 'refresh_token', refresh_token: kept.refresh_token, client_id: kept.client_id });
    found = chosen(said, kept, true);
    if (claims(found).sub !== kept.sub) throw Object.assign(new Error('sub'), { status: 401 });
  } catch (error) {
    // Somebody may have signed out meanwhile.
    if (error.status === 401 && renewal.peek() === kept) renewal.value = null;
    return false;
  }
  if (renewal.peek() !== kept) return false;
  batch(() => {
    token.value = found;
    renewal.value = { ...kept, refresh_token: said.refresh_token ?? kept.refresh_token };
    // That of the former one is not its own: by that it would be renewed again.
    ends.value = null;
  });
  renewedAt = Date.now();
  // What is said of its end decides when it is renewed next; without an answer the next refusal does.
  get('api/v1/session').then((session) => token.peek() === found && learn(session), () => {});
  return true;
}

// From now on, each token before it ends.
export function keepRenewing() {
  effect(() => {
    if (!renewal.value || ends.value === null) return undefined;
    const left = ends.value - Date.now();
    let timer = null;
    const turn = async () => {
      const tried = ends.peek();
      if (!await renew(token.peek()) && ends.peek() === tried && Date.now() < tried) timer = setTimeout(turn, REST_MS);
    };
    timer = setTimeout(turn, Math.min(LONGEST_MS, Math.max(REST_MS, left - BEFORE_MS, SHARE * left)));
    return () => clearTimeout(timer);
  });
}
