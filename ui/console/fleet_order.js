// In which order tenants stand. A place is a list that is compared from its begin; the id comes last.
const WORST = { violated: 0, at_risk: 1, no_data: 2, meeting: 3 };
const orLast = (value) => value ?? Number.MAX_VALUE;

const PLACES = {
  // Who is down at this moment, then as the API sorts them.
  worst: (row) => [row.state === 'down' ? 0 : 1, WORST[row.status] ?? 4, row.error_budget.remaining_percent ?? 100],
  tenant: (row) => [(row.name ?? row.tenant_id).toLowerCase()],
  status: (row) => [WORST[row.status] ?? 4],
  state: (row) => [row.state ?? 'none'],
  availability_30d: (row) => [orLast(row.windows['30d'].availability)],
  target: (row) => [row.target],
  budget_left: (row) => [orLast(row.error_budget.remaining_percent)],
  burn_rate: (row) => [orLast(row.burn_rate['1h'])],
  last_alert: (row) => [row.last_alert?.at ?? ''],
};

export const placeOf = (row, by) => [...PLACES[by](row), row.tenant_id];

export function before(one, other) {
  const at = one.findIndex((part, i) => part !== other[i]);
  return at < 0 ? 0 : one[at] < other[at] ? -1 : 1;
}

// `rows` are signals. Each place is worked out once, not for each comparison.
export function inOrder(rows, { by, down }) {
  const placed = rows.map((row) => [placeOf(row.peek(), by), row]);
  placed.sort(([one], [other]) => (down ? before(other, one) : before(one, other)));
  return placed.map(([, row]) => row);
}
