// Signing in at an issuer: authorisation code with PKCE (RFC 7636), as a public client. What comes back is a token like
// any other; it is kept as long as one that was typed, and renewed where the issuer gave something to renew it with.
import { ApiError } from './api.js';
import { refusal, signIn } from './session.js';
import { batch } from './view.js';

// What has to be known when the person comes back; of this tab alone.
const KEPT = 'ecpmon.oidc';

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const here = () => new URL('.', document.baseURI).href;

export function claims(jwt) {
  try {
    return JSON.parse(atob(jwt.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
  } catch {
    return {};
  }
}

// Leaves the page. `crypto.subtle` is there on https and on loopback alone.
export async function begin({ authorization_endpoint, ...oidc }) {
  const kept = { verifier: random(), state: random(), nonce: random(), hash: location.hash, ...oidc };
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(kept.verifier));
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
  const url = new URL(authorization_endpoint);
  const asked = {
    response_type: 'code', client_id: oidc.client_id, redirect_uri: here(), scope: oidc.scope, state: kept.state, nonce: kept.nonce,
    code_challenge: base64url(new Uint8Array(digest)), code_challenge_method: 'S256',
  };
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
  location.assign(url);
}

// The token that is for this API: an access token that names it, else the one that tells who it is.
export function chosen({ access_token: access, id_token: identity }, { nonce, audience }, isRenewal = false) {
  const told = identity && claims(identity).nonce;
  // A renewed one may leave the nonce out (OpenID Connect Core 12.2).
  if (identity && told !== nonce && !(isRenewal && told === undefined)) throw new ApiError(401, { code: 'OIDC', message: 'nonce' });
  const isOurs = (jwt) => jwt && [claims(jwt).aud].flat().includes(audience);
  const found = [access, identity].find(isOurs);
  if (!found) throw new ApiError(401, { code: 'OIDC', message: `no token for ${audience}` });
  return found;
}

// What the issuer gives for `asked`. An error with status 401: it refuses; with another: it does not answer now.
export async function given(token_endpoint, asked) {
  let answer;
  try {
    answer = await fetch(token_endpoint, { method: 'POST', body: new URLSearchParams(asked) });
  } catch {
    throw new ApiError(0);
  }
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  const status = answer.status >= 500 || answer.status === 429 ? answer.status : 401;
  throw new ApiError(status, { code: 'OIDC', message: said.error_description ?? said.error ?? String(answer.status) });
}

// The token, and how it is renewed.
async function exchanged(code, kept) {
  const { client_id, token_endpoint, audience, nonce } = kept;
  const said = await given(token_endpoint, {
    grant_type: 'authorization_code', code, client_id, redirect_uri: here(), code_verifier: kept.verifier,
  });
  const found = chosen(said, kept);
  const { refresh_token } = said;
  return [found, refresh_token ? { refresh_token, client_id, token_endpoint, audience, nonce, sub: claims(found).sub } : null];
}

// For who has come back: takes what is in the address out of it, and keeps the token.
export async function finish() {
  const said = new URLSearchParams(location.search);
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null');
  sessionStorage.removeItem(KEPT);
  history.replaceState(null, '', here() + (kept?.hash ?? ''));
  try {
    // Somebody else's answer, or one that was used before.
    if (!kept || said.get('state') !== kept.state) throw new ApiError(401, { code: 'OIDC', message: 'state' });
    if (said.has('error')) throw new ApiError(401, { code: 'OIDC', message: said.get('error_description') ?? said.get('error') });
    const [found, renewed] = await exchanged(said.get('code'), kept);
    batch(() => {
      signIn(found, renewed);
      refusal.value = null;
    });
  } catch (error) {
    refusal.value = error;
  }
}
