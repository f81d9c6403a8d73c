// Who looks, at which database, in which language and zone: kept in this browser, the token only until it is closed.
import { effect, signal } from './view.js';

const remembered = (key, usual) => localStorage.getItem(`ecpmon.${key}`) ?? usual;

export const token = signal(sessionStorage.getItem('ecpmon.token') ?? '');
// Whether the server asks for a token at all; null: not known yet.
export const isOpen = signal(null);
export const demo = signal(remembered('demo', 'false') === 'true');
export const language = signal(remembered('language', navigator.language.startsWith('ko') ? 'ko' : 'en'));
// 'viewer': this browser's zone, 'tenant': the tenant's own.
export const zone = signal(remembered('zone', 'viewer'));
export const theme = signal(remembered('theme', 'auto'));
// Who the token names, and what may be done with it: what the API's `session` says; null: not known yet.
export const me = signal(null);
// What may not be done is not offered. `permission` is one that routes ask for, such as 'operate'.
export const may = (permission) => me.value?.permissions.includes(permission) ?? false;
// Why the last token was not taken: an error of the API.
export const refusal = signal(null);

effect(() => sessionStorage.setItem('ecpmon.token', token.value));
for (const [key, kept] of Object.entries({ demo, language, zone, theme })) {
  effect(() => localStorage.setItem(`ecpmon.${key}`, String(kept.value)));
}
effect(() => {
  document.title = demo.value ? '[DEMO] ecpmon' : 'ecpmon';
});
effect(() => {
  document.documentElement.lang = language.value;
  document.documentElement.dataset.theme = theme.value;
});

export function signOut(why = null) {
  refusal.value = why;
  isOpen.value = null;
  me.value = null;
  token.value = '';
}
