// When one is signed out by itself, said from the beginning, and aloud shortly before.
import { get } from './api.js';
import { ends, renewal } from './session.js';
import { html, useEffect, useSignal } from './view.js';
import { clock, t } from './words.js';

const SOON_MS = 5 * 60_000;
const DAY_MS = 86_400_000;

// Where people are known elsewhere they come back to where they are.
const again = async (oidc) => (await import('./oidc.js')).begin(oidc);

export function Ending() {
  const isSoon = useSignal(false);
  const elsewhere = useSignal(null);
  const end = renewal.value ? null : ends.value;
  const left = end === null ? null : end - Date.now();
  const isShown = left !== null && left < DAY_MS;
  useEffect(() => {
    isSoon.value = false;
    if (!isShown) return undefined;
    get('api/v1/sign-in').then(({ oidc }) => (elsewhere.value = isSecureContext ? oidc : null), () => {});
    const timer = setTimeout(() => (isSoon.value = true), Math.max(0, end - Date.now() - SOON_MS));
    return () => clearTimeout(timer);
  }, [end, isShown]);
  if (!isShown) return null;
  const said = t('signed_in_until', { at: clock(end) });
  const button = elsewhere.value && html` <button type="button" onClick=${() => again(elsewhere.value)}>${t('sign_in_again')}</button>`;
  return isSoon.value ? html`<strong class="ending" role="alert">${said} ${t('ends_soon')}${button}</strong>` : html`<small>${said}${button}</small>`;
}
