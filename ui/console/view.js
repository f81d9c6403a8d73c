// What every view is made of. One place, so that a view names no package's file.
import htm from './htm.mjs';
import { h } from './preact.mjs';

export { render, Fragment } from './preact.mjs';
export { useEffect, useMemo, useRef, useState } from './hooks.mjs';
export { batch, computed, effect, signal, untracked, useComputed, useSignal } from './signals.mjs';
export const html = htm.bind(h);
