// What is asked before the modules that need it are there: `early.js` begins it, they take it. It imports nothing.
export const remembered = (key, usual) => localStorage.getItem(`ecpmon.${key}`) ?? usual;
// As whom, of which database and in which language is asked, when the page is opened.
export const known = {
  token: sessionStorage.getItem('ecpmon.token') ?? '',
  demo: remembered('demo', 'false') === 'true',
  language: remembered('language', navigator.language.startsWith('ko') ? 'ko' : 'en'),
};
export const root = new URL('.', document.baseURI);
export const headersOf = ({ token, demo, language }) =>
  ({ 'Accept-Language': language, 'X-Demo-Mode': String(demo), ...(token && { Authorization: `Bearer ${token}` }) });
export const wordsOf = (language) => new URL(`./${language}.json`, import.meta.url);

const answers = new Map();
// What nobody has taken by then is too old to be shown.
const GOOD_MS = 10_000;
const keyOf = (url, headers) => JSON.stringify([url.href, headers]);

export function begin(url, headers = {}) {
  const answer = fetch(url, { headers });
  // Who takes it hears that it failed.
  answer.catch(() => {});
  const key = keyOf(url, headers);
  answers.set(key, answer);
  setTimeout(() => answers.delete(key), GOOD_MS);
  return answer;
}

// The answer to the same question by the same person, once; else it is asked now.
export function asked(url, headers = {}) {
  const key = keyOf(url, headers);
  const answer = answers.get(key);
  answers.delete(key);
  return answer ?? fetch(url, { headers });
}
