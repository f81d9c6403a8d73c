// What lies behind and over the lines of a plot: time that is unknown, down or left out, and instants.
// Each kind has a pattern of its own, so that none is told by its colour alone.
const SPACING = 7;

// kind: [name of a colour, direction of its lines]; no direction: filled.
const LOOKS = {
  down: ['down-shade', null],
  not_pushed: ['faint', 'rising'],
  target_failed: ['faint', 'falling'],
  collector_down: ['faint', 'level'],
  part_silent: ['faint', 'dots'],
  excluded: ['accent', 'upright'],
};

function strokes(ctx, direction, x, y, width, height) {
  ctx.beginPath();
  if (direction === 'level') {
    for (let at = y; at < y + height; at += SPACING) ctx.moveTo(x, at), ctx.lineTo(x + width, at);
  } else if (direction === 'upright') {
    for (let at = x; at <= x + width; at += SPACING) ctx.moveTo(at, y), ctx.lineTo(at, y + height);
  } else if (direction === 'dots') {
    ctx.setLineDash([1, 4]);
    for (let at = y; at < y + height; at += SPACING) ctx.moveTo(x, at), ctx.lineTo(x + width, at);
  } else {
    for (let at = x - height; at < x + width; at += SPACING) {
      const [from, to] = direction === 'rising' ? [y + height, y] : [y, y + height];
      ctx.moveTo(at, from);
      ctx.lineTo(at + height, to);
    }
  }
  ctx.stroke();
  ctx.setLineDash([]);
}

function shade(u, colour, { from, to, kind }) {
  const { ctx, bbox } = u;
  const left = Math.max(u.valToPos(from, 'x', true), bbox.left);
  const right = Math.min(u.valToPos(to, 'x', true), bbox.left + bbox.width);
  if (right <= left) return;
  const [name, direction] = LOOKS[kind] ?? LOOKS.excluded;
  const width = Math.max(2, right - left);
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, bbox.top, width, bbox.height);
  ctx.clip();
  ctx.fillStyle = colour(name);
  ctx.strokeStyle = colour(name);
  ctx.lineWidth = 1;
  ctx.globalAlpha = direction ? 0.12 : 1;
  ctx.fillRect(left, bbox.top, width, bbox.height);
  ctx.globalAlpha = 0.7;
  if (direction) strokes(ctx, direction, left, bbox.top, width, bbox.height);
  ctx.restore();
}

// An instant: a line over the whole height, and a flag at its top.
function flag(u, colour, at) {
  const { ctx, bbox } = u;
  const x = u.valToPos(at, 'x', true);
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour('text');
  ctx.setLineDash([2, 3]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(x - 5, bbox.top);
  ctx.lineTo(x + 5, bbox.top);
  ctx.lineTo(x, bbox.top + 9);
  ctx.fill();
  ctx.restore();
}

// A plugin of uPlot. `now()` has `shades`: {from, to, kind}, and `flags`: instants, all in seconds; `ink` finds colours.
export const marking = (now, ink) => ({
  hooks: {
    drawClear: (u) => {
      const colour = ink();
      for (const each of now().shades ?? []) shade(u, colour, each);
    },
    draw: (u) => {
      const colour = ink();
      for (const at of now().flags ?? []) flag(u, colour, at);
    },
  },
});
