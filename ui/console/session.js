// Who looks, at which database, in which language and zone: kept in this browser, the token only until it is closed.
import { known, remembered } from './begun.js';
import { batch, effect, signal } from './view.js';

export const token = signal(known.token);
// Grows with each person who signs in or out; a token that is renewed is the same person's.
export const who = signal(0);
// How the token is renewed without its person (see renewal.js); null: it is not.
export const renewal = signal(JSON.parse(sessionStorage.getItem('ecpmon.renewal') ?? 'null'));
// When the token ends, in milliseconds of this browser's clock; null: it does not, or that is not known.
export const ends = signal(null);
// Whether the server asks for a token at all; null: not known yet.
export const isOpen = signal(null);
export const demo = signal(known.demo);
export const language = signal(known.language);
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
effect(() => sessionStorage.setItem('ecpmon.renewal', JSON.stringify(renewal.value)));
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

// What the API's `session` says of the token. What is left of it is told by the server's clock.
export function learn(said) {
  me.value = said;
  ends.value = said?.expires_in === null || said === null ? null : Date.now() + 1_000 * said.expires_in;
}

// Somebody has a token now; `renewed`: how it is renewed.
export function signIn(found, renewed = null) {
  batch(() => {
    token.value = found;
    renewal.value = renewed;
    ends.value = null;
    who.value += 1;
  });
}

// What this person has typed goes with them.
const forgetTyped = () => Object.keys(sessionStorage).filter((key) => key.startsWith('ecpmon.typed ')).forEach((key) => sessionStorage.removeItem(key));

// `why`: an error of the API, if it was not asked for.
export function signOut(why = null) {
  if (why === null) forgetTyped();
  batch(() => {
    signIn('');
    refusal.value = why;
    isOpen.value = null;
    me.value = null;
  });
}
