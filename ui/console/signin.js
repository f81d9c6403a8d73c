// A token, tried before it is kept.
import { get } from './api.js';
import { useAsked } from './asked.js';
import { Trouble } from './parts.js';
import { isOpen, learn, refusal, signIn, token } from './session.js';
import { batch, html, useSignal } from './view.js';
import { t } from './words.js';

// A server that is away may be back soon.
const AGAIN_MS = 3_000;

// The token that is being tried; undefined: none is.
let underWay;

// Whether the token of now is one: `isOpen` says afterwards that a page may be shown.
export async function tryToken() {
  const tried = token.peek();
  if (underWay === tried) return;
  underWay = tried;
  try {
    const said = await get('api/v1/session');
    // Else another was typed meanwhile, and what is said of this one is of no interest.
    if (token.peek() === tried) found(null, !tried, said);
  } catch (error) {
    if (token.peek() === tried) failed(error, tried);
  } finally {
    if (underWay === tried) underWay = undefined;
  }
}

function found(why, open, said = null) {
  batch(() => {
    learn(said);
    refusal.value = why;
    isOpen.value = open;
  });
}

function failed(error, tried) {
  if (error.status !== 401) {
    refusal.value = error;
    setTimeout(() => isOpen.peek() === null && tryToken(), AGAIN_MS);
    return;
  }
  batch(() => {
    signIn('');
    found(tried ? error : refusal.peek(), false);
  });
}

// Where people are known elsewhere; a token works as well.
function Elsewhere() {
  const { value } = useAsked('api/v1/sign-in');
  const oidc = value?.oidc;
  if (!oidc) return null;
  const go = async () => (await import('./oidc.js')).begin(oidc);
  return html`<p><button type="button" disabled=${!isSecureContext} onClick=${go}>${t('sign_in_at', { issuer: new URL(oidc.issuer).host })}</button>
    ${!isSecureContext && html` <small>${t('needs_https')}</small>`}</p>`;
}

export function SignIn() {
  const typed = useSignal('');
  const submit = (event) => {
    event.preventDefault();
    batch(() => {
      signIn(typed.value.trim());
      isOpen.value = null;
    });
    tryToken();
  };
  return html`<main class="signin">
    <h1>ecpmon</h1>
    <${Elsewhere} />
    <form onSubmit=${submit}>
      <label>${t('token')}
        <input type="password" autocomplete="current-password" required value=${typed}
          onInput=${(event) => (typed.value = event.target.value)} /></label>
      <p><small>${t('token_hint')}</small></p>
      <button type="submit">${t('sign_in')}</button>
    </form>
    <${Trouble} error=${refusal.value} />
  </main>`;
}
