// What the console shows first is asked for while its modules are on their way: words, who is asking, all tenants.
import { begin, headersOf, known, root, wordsOf } from './begun.js';

const headers = headersOf(known);
const ofAPI = (path) => begin(new URL(`api/v1/${path}`, root), headers);
// Of what needs no answer: modules that the first page is made of, asked for after what it shows, as a browser has six connections.
const MODULES = [
  'fleet', 'fleet_store', 'fleet_order', 'visible', 'api', 'view', 'parts', 'asked', 'ending', 'signin', 'session', 'words',
];

begin(wordsOf(known.language));
// Whoever comes back from signing in has no token yet.
if (!new URLSearchParams(location.search).has('state')) {
  const session = ofAPI('session');
  if (known.token) ofAPI('sla/summary');
  // Without a token it is shown where none is asked for.
  else session.then(({ ok }) => ok && ofAPI('sla/summary'), () => {});
}
for (const name of MODULES) {
  document.head.append(Object.assign(document.createElement('link'), { rel: 'modulepreload', href: new URL(`./${name}.js`, import.meta.url) }));
}
