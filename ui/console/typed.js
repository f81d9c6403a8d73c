// What is typed into a form is kept in this tab until it is sent or left, so that a reload or a slip loses nothing.
import { demo, me } from './session.js';
import { effect, useEffect, useSignal } from './view.js';

const PREFIX = 'ecpmon.typed ';

// [signal, forget]: what was typed over `usual` into the form `name`, by this person and for this database. What was typed over
// something else, such as a rule that has been changed since, is not believed.
export function useTyped(name, usual) {
  const key = `${PREFIX}${demo.peek()} ${me.peek()?.name} ${name}`;
  const of = JSON.stringify(usual);
  const kept = JSON.parse(sessionStorage.getItem(key) ?? 'null');
  const typed = useSignal(kept?.of === of ? kept.typed : usual);
  useEffect(() => effect(() => {
    if (JSON.stringify(typed.value) === of) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, JSON.stringify({ of, typed: typed.value }));
  }), []);
  // Whoever sent it may have gone elsewhere by then.
  const forget = () => {
    typed.value = usual;
    sessionStorage.removeItem(key);
  };
  return [typed, forget];
}
