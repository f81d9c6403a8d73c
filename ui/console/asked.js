// What a part of a page asks of the API, and what it tells it.
import { get, send } from './api.js';
import { language } from './session.js';
import { useEffect, useRef, useSignal } from './view.js';

// {value, error, isNewest} of `path`, asked again whenever it, `when` or the language is another; null: nothing is asked.
// What was known is shown while the next is on its way or did not come, and is not the newest then. An answer is taken if it is to the path of now
// and none that was asked for after it is there: questions that come faster than answers are answered all the same.
export function useAsked(path, when = 0) {
  const found = useSignal({ value: null, error: null, of: null });
  const turns = useRef({ path: null, asked: 0, taken: 0 }).current;
  const of = `${path} ${when} ${language.value}`;
  useEffect(() => {
    turns.path = path;
    if (path === null) return;
    const turn = ++turns.asked;
    const take = (more) => {
      if (path !== turns.path || turn < turns.taken) return;
      turns.taken = turn;
      found.value = { ...found.peek(), error: null, ...more };
    };
    get(path).then((value) => take({ value, of }), (error) => take({ error }));
  }, [of]);
  const { value, error } = found.value;
  return { value, error, isNewest: found.value.of === of };
}

// {tell, during, error, busy, forget}: `tell(method, path, body, tag)` gives the answer, `during(act)` what `act` gives; null after an
// error, which `error` is then until `forget()`. One at a time: what is told while another is under way is not, and gives null.
export function useTelling() {
  const state = useSignal({ error: null, busy: false });
  const during = async (act) => {
    if (state.peek().busy) return null;
    state.value = { error: null, busy: true };
    try {
      const answer = await act();
      state.value = { error: null, busy: false };
      return answer ?? {};
    } catch (error) {
      state.value = { error, busy: false };
      return null;
    }
  };
  const tell = (...said) => during(() => send(...said));
  const forget = () => (state.value = { ...state.peek(), error: null });
  return { tell, during, forget, ...state.value };
}

// A server that is away may be back soon.
const AGAIN_MS = 3_000;

// {name, Show}: the page or part that was loaded last, which is of `name` soon; null: none is there yet. What does not come is asked
// for again, as long as it is wanted. `known`: what needs no loading.
export function useLoaded(name, load, known = null) {
  const found = useSignal(known && { name, Show: known });
  useEffect(() => {
    let isOver = false;
    let timer = null;
    const attempt = () => load().then(
      (Show) => isOver || (found.value = { name, Show }),
      () => isOver || (timer = setTimeout(attempt, AGAIN_MS)),
    );
    attempt();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [name]);
  return found.value;
}

// What stands in a form, by the names of its fields; empty fields are left out.
export function fieldsOf(form) {
  return Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ''));
}
