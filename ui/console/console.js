// The console: who looks, and which page.
import { useLoaded } from './asked.js';
import { follow } from './fleet_store.js';
import { Fleet } from './fleet.js';
import { demo, isOpen, language, may, refusal, renewal, signOut, theme, token, who, zone } from './session.js';
import { Ending } from './ending.js';
import { SignIn, tryToken } from './signin.js';
import { Choice, Trouble } from './parts.js';
import { effect, html, render, signal, useEffect } from './view.js';
import { speak, t } from './words.js';

const route = signal(location.hash);
addEventListener('hashchange', () => (route.value = location.hash));

function Head() {
  const other = () => (demo.value = !demo.value);
  return html`<header class=${demo.value ? 'demo' : ''}>
    <a class="brand" href="#/">ecpmon</a>
    <button type="button" class="mode" aria-pressed=${demo.value} onClick=${other}>
      ${t(demo.value ? 'demo' : 'production')}</button>
    <nav aria-label=${t('settings')}>
      <${Choice} label=${t('language')} kept=${language} choices=${[['ko', '한국어'], ['en', 'English']]} />
      <${Choice} label=${t('zone')} kept=${zone} choices=${[['viewer', t('zone_viewer')], ['tenant', t('zone_tenant')]]} />
      <${Choice} label=${t('theme')} kept=${theme}
        choices=${[['auto', t('theme_auto')], ['light', t('theme_light')], ['dark', t('theme_dark')]]} />
      ${may('manage_tenants') && html`<a href="#/new">${t('new_tenant')}</a>`}
      <a href="docs">${t('api')}</a>
      <${Ending} />
      ${token.value && html`<button type="button" onClick=${() => signOut()}>${t('sign_out')}</button>`}
    </nav>
    ${demo.value && html`<p class="demo-banner"><strong>${t('demo')}</strong> ${t('demo_hint')}</p>`}
  </header>`;
}

// What only some look at is loaded when they do.
function Tenant({ tenantId, part, rest }) {
  const loaded = useLoaded('tenant', async () => (await import('./tenant.js')).Tenant);
  return loaded ? html`<${loaded.Show} key=${`${tenantId} ${demo.value}`} tenantId=${tenantId} part=${part} rest=${rest} />` : html`<main aria-busy="true"></main>`;
}

// A page that is loaded when somebody comes to it.
function NewTenant() {
  const loaded = useLoaded('new', async () => (await import('./new_tenant.js')).NewTenant);
  return loaded ? html`<${loaded.Show} />` : html`<main aria-busy="true"></main>`;
}

// What is no encoding, such as a `%` that was typed, is the name itself.
function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function Page() {
  if (route.value === '#/new') return html`<${NewTenant} />`;
  const [, page, name, part, rest] = /^#\/(tenants)\/([^/?]+)(?:\/(\w+)(?:\/([^?]*))?)?/.exec(route.value) ?? [];
  return page ? html`<${Tenant} tenantId=${decoded(name)} part=${part} rest=${rest} />` : html`<${Fleet} />`;
}

function Console() {
  // Another person or another database is another fleet.
  useEffect(follow, [who.value, demo.value]);
  return html`<${Head} /><${Page} />`;
}

// Whoever has signed in elsewhere comes back with a code.
if (new URLSearchParams(location.search).has('state')) {
  await (await import('./oidc.js')).finish();
  route.value = location.hash;
}

// Whether one is asked for is known after a moment, as refusals are slow; until then nobody has to wait.
const SOON_MS = 300;
const isLate = signal(false);
setTimeout(() => (isLate.value = true), SOON_MS);

// One that was taken before is believed while it is tried again: what is shown comes with it or not at all.
const known = token.peek();

function App() {
  if (known && token.value === known && !refusal.value) return html`<${Console} />`;
  if (isOpen.value === null && !token.value && isLate.value) return html`<${SignIn} />`;
  if (isOpen.value === null) {
    return html`<main aria-busy=${!refusal.value}><${Trouble} error=${refusal.value} again=${tryToken} /></main>`;
  }
  return isOpen.value || token.value ? html`<${Console} />` : html`<${SignIn} />`;
}

effect(() => void speak(language.value));
// Who signs in at an issuer that gives nothing to renew with needs none of it.
const stop = effect(() => {
  if (!renewal.value) return;
  import('./renewal.js').then((module) => module.keepRenewing());
  queueMicrotask(() => stop());
});
effect(() => {
  // Signed out, or just begun.
  if (isOpen.value === null) tryToken();
});
await speak(language.value);
render(html`<${App} />`, document.getElementById('app'));
