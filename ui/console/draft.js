// What is written of a tenant before it is stored: made of what there is, and what is sent of it.
export const emptyDraft = () => ({
  tenant_id: '', name: '', description: '', availability: '99.9%', response_time: '', preset: '', language: 'ko',
  time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone, services: [{ name: 'callbot', sessions: 10 }],
});

export const draftOf = (detail) => ({
  name: detail.name ?? '', description: detail.description ?? '', availability: detail.sla_target.availability,
  response_time: detail.sla_target.response_time ?? '', preset: detail.preset, language: detail.language, time_zone: detail.time_zone,
  services: Object.entries(detail.service_requirements).map(([name, sessions]) => ({ name, sessions })),
});

export const requirementsOf = (draft) =>
  Object.fromEntries(draft.services.filter(({ name }) => name).map(({ name, sessions }) => [name, Number(sessions)]));
export const targetOf = (draft) =>
  ({ availability: draft.availability, ...(draft.response_time && { response_time: draft.response_time }) });

// What was written of `was`, over what `is` stored by now: whatever its writer left as it was is as it is, of services each by itself.
export function rebased(was, written, is) {
  const isLeft = (key) => JSON.stringify(written[key]) === JSON.stringify(was[key]);
  const fields = Object.fromEntries(Object.keys(is).map((key) => [key, (isLeft(key) ? is : written)[key]]));
  const [before, own, now] = [was, written, is].map((each) => new Map(each.services.map(({ name, sessions }) => [name, String(sessions)])));
  const services = [...new Set([...own.keys(), ...now.keys()])]
    .map((name) => ({ name, sessions: (own.get(name) === before.get(name) ? now : own).get(name) }));
  return { ...fields, services: services.filter(({ sessions }) => sessions !== undefined) };
}

// As a tenant is created.
export const bodyOf = (draft) => ({
  ...(draft.tenant_id !== undefined && { tenant_id: draft.tenant_id }),
  name: draft.name, language: draft.language, time_zone: draft.time_zone,
  ...(draft.description && { description: draft.description }), ...(draft.preset && { preset: draft.preset }),
  service_requirements: requirementsOf(draft), sla_target: targetOf(draft),
});

// As one is changed: what differs, in objects as well; null takes away what is gone.
export function changesOf(before, after) {
  const found = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is] = [before[key], after[key]];
    if (JSON.stringify(was) === JSON.stringify(is)) continue;
    found[key] = was && is && typeof is === 'object' ? changesOf(was, is) : is ?? null;
  }
  return found;
}
