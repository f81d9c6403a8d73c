// What a part of a page asks of the API, and what it tells it.
import { get, send } from './api.js';
import { useEffect, useSignal } from './view.js';

// {value, error} of `path`, asked again whenever it or `when` is another; null: nothing is asked. An older answer never
// replaces a newer one, and what was known is shown while the next is on its way.
export function useAsked(path, when = 0) {
  const found = useSignal({ value: null, error: null });
  useEffect(() => {
    if (path === null) return undefined;
    let over = false;
    get(path).then(
      (value) => over || (found.value = { value, error: null }),
      (error) => over || (found.value = { value: found.peek().value, error }),
    );
    return () => void (over = true);
  }, [path, when]);
  return found.value;
}

// {tell, error, busy}: `tell(method, path, body)` gives the answer, or null after an error that `error` is then.
export function useTelling() {
  const state = useSignal({ error: null, busy: false });
  const tell = async (method, path, body) => {
    state.value = { error: null, busy: true };
    try {
      const answer = await send(method, path, body);
      state.value = { error: null, busy: false };
      return answer ?? {};
    } catch (error) {
      state.value = { error, busy: false };
      return null;
    }
  };
  return { tell, ...state.value };
}

// What stands in a form, by the names of its fields; empty fields are left out.
export function fieldsOf(form) {
  return Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ''));
}
