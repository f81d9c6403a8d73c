// What the client throws. `code` is stable (docs/errors.md); by `requestId` the service's operators find the request.

export class ECPError extends Error {
  constructor(message, { code, details = {}, requestId = null, status = null, retryAfter = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.details = details;
    this.requestId = requestId;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

// Nothing answered. `timedOut`: for as long as one attempt may take.
export class Unreachable extends ECPError {
  constructor(message, { requestId, timedOut = false, cause } = {}) {
    super(message, { code: timedOut ? 'TIMEOUT' : 'UNREACHABLE', requestId, cause });
  }
}

// The service said no.
export class AnsweredError extends ECPError {}
// 400, 405, 413, 415, 422: change it; `fields` has one { field, message } per bad field.
export class InvalidRequest extends AnsweredError {
  get fields() {
    return this.details.fields ?? [];
  }
}
export class Unauthorized extends AnsweredError {}
export class Forbidden extends AnsweredError {}
export class NotFound extends AnsweredError {}
export class Conflict extends AnsweredError {}
// After `retryAfter` seconds.
export class RateLimited extends AnsweredError {}
// 408, 502, 503, 504: later.
export class Unavailable extends AnsweredError {}
export class ServerFault extends AnsweredError {}
// A deployment that was waited for; `details` is the deployment.
export class DeploymentFailed extends ECPError {}

const BY_STATUS = new Map([
  [400, InvalidRequest], [401, Unauthorized], [403, Forbidden], [404, NotFound], [405, InvalidRequest],
  [408, Unavailable], [409, Conflict], [413, InvalidRequest], [415, InvalidRequest], [422, InvalidRequest],
  [429, RateLimited], [502, Unavailable], [503, Unavailable], [504, Unavailable],
]);

// The error that an answer tells; what is not the service's own (a proxy's page) has the code HTTP_<status>.
export function errorOf(status, document, { requestId = null, retryAfter = null } = {}) {
  const said = (typeof document === 'object' && document?.error) || {};
  const Kind = BY_STATUS.get(status) ?? (status >= 500 ? ServerFault : AnsweredError);
  return new Kind(said.message ?? `the answer is ${status}`, {
    code: said.code ?? `HTTP_${status}`,
    details: said.details ?? {},
    requestId: said.request_id ?? requestId,
    status,
    retryAfter,
  });
}

// Whether the same request may succeed later.
export function passes(error) {
  return error instanceof Unreachable || error instanceof RateLimited || error instanceof Unavailable;
}

const NOTHING_DONE = new Set(['OVERLOADED', 'RATE_LIMITED', 'TOO_MANY_SOCKETS']);

// Whether it is certain that nothing came of it. fetch does not tell whether a request has left.
export function didNothing(error) {
  return NOTHING_DONE.has(error.code);
}
