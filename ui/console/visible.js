// Of many rows those that are seen, and some around them: the others are room above and below.
import { useEffect, useRef, useState } from './view.js';

// As high a row is taken to be before any was measured: so many are drawn at once as fill the window. Never more than `MOST`.
const HEIGHT = 56;
const MOST = 200;
const AROUND = 12;
// Rows are taken in and left out by so many, so that not every scroll draws.
const GRAIN = 8;

// Returns {first, last, above, below, body}: draw rows [first, last), with so many pixels above and below; `body` is a
// ref for what holds the drawn rows.
export function useVisible(count) {
  const body = useRef(null);
  const [{ first, last, height }, setSeen] = useState(() => ({ first: 0, last: Math.ceil(innerHeight / HEIGHT), height: HEIGHT }));
  const [from, to] = [Math.max(0, Math.min(first, count - AROUND)), Math.min(last, count)];
  useEffect(() => {
    let asked = 0;
    const measure = () => {
      asked = 0;
      const box = body.current?.getBoundingClientRect();
      if (!box) return;
      const high = to > from && box.height > 0 ? box.height / (to - from) : height;
      const top = box.top - from * high;
      const begin = Math.floor((-top / high - AROUND) / GRAIN) * GRAIN;
      const end = Math.ceil(((innerHeight - top) / high + AROUND) / GRAIN) * GRAIN;
      const seen = { first: Math.max(0, begin), height: high };
      seen.last = Math.min(Math.max(end, seen.first + GRAIN), seen.first + MOST);
      if (seen.first !== first || seen.last !== last || Math.abs(high - height) > 1) setSeen(seen);
    };
    const ask = () => (asked ||= requestAnimationFrame(measure));
    addEventListener('scroll', ask, { passive: true });
    addEventListener('resize', ask);
    ask();
    return () => {
      cancelAnimationFrame(asked);
      removeEventListener('scroll', ask);
      removeEventListener('resize', ask);
    };
  }, [first, last, height, count]);
  return { first: from, last: to, above: from * height, below: Math.max(0, count - to) * height, body };
}
