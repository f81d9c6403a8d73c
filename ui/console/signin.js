// A token, tried before it is kept.
import { get } from './api.js';
import { Trouble } from './parts.js';
import { isOpen, refusal, token } from './session.js';
import { html, useSignal } from './view.js';
import { t } from './words.js';

// A server that is away may be back soon.
const AGAIN_MS = 3_000;

// Whether the token of now is one: `isOpen` says afterwards that a page may be shown.
export async function tryToken() {
  try {
    await get('api/v1/tenants?limit=1');
    refusal.value = null;
    isOpen.value = !token.value;
  } catch (error) {
    if (error.status === 401) {
      if (token.value) refusal.value = error;
      token.value = '';
      isOpen.value = false;
    } else {
      refusal.value = error;
      setTimeout(() => isOpen.value === null && tryToken(), AGAIN_MS);
    }
  }
}

export function SignIn() {
  const typed = useSignal('');
  const submit = (event) => {
    event.preventDefault();
    token.value = typed.value.trim();
    tryToken();
  };
  return html`<main class="signin">
    <h1>ecpmon</h1>
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
