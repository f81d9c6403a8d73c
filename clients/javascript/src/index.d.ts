// Times are RFC 3339 texts in UTC; where one is sent, a Date is taken as well.
import type {
  AlertMessage, AlertRequest, AlertRule, AlertRules, CreatedTenant, Deletion, Deployment, DeploymentBegun,
  DeploymentReport, DeploymentStep, Deployments, Incidents, ManifestReport, Monitoring, MonitoringMessage, PushResult,
  RealtimeMessage, ResourcePlan, Sla, SlaAnalysis, SlaSummary, SlaTarget, SystemMetrics, Tenant, TenantChanges, TenantPage,
  TenantRequest, UpdatedTenant,
} from './types.js';

export type * from './types.js';

export interface Options {
  /** With or without `/api/v1`. */
  baseUrl?: string;
  /** Which database and deployer; null leaves it to the service's settings. */
  isDemo?: boolean | null;
  /** A text, or a function that is asked before every request, for tokens that end. */
  token?: string | (() => string) | null;
  /** Of the messages in errors, such as `ko`. */
  language?: string | null;
  /** Seconds of one attempt. */
  timeout?: number;
  /** Attempts and seconds for all of them; the waits between them where the service names none. */
  retries?: { attempts?: number; seconds?: number; firstWait?: number; longestWait?: number };
  fetch?: typeof globalThis.fetch;
  /** Node has one since version 22. */
  WebSocket?: typeof globalThis.WebSocket;
}

export interface Live {
  /** Why a subscription ended by itself. Without it `done` is rejected. */
  onError?: (error: unknown) => void;
}

/** Opened again whenever it breaks; every new socket begins with the present state. */
export class Subscription {
  private constructor();
  /** Sockets after the first one. */
  reconnects: number;
  /** Fulfilled when it is over; rejected with what ended it. */
  readonly done: Promise<void>;
  close(): void;
}

type Query = Record<string, string | number | boolean | Date | readonly string[] | null | undefined>;

export class ECPClient {
  constructor(options?: Options);

  /** Any request that has no method here; JSON comes back parsed. Without `repeatable`: GET, PUT and HEAD are. */
  request(method: string, path: string, more?: { query?: Query; body?: unknown; repeatable?: boolean }): Promise<any>;

  getTenants(asked?: { skip?: number; limit?: number; preset?: string; status?: string }): Promise<TenantPage>;
  getTenant(tenantId: string): Promise<Tenant>;
  createTenant(tenant: TenantRequest): Promise<CreatedTenant>;
  /** With an `etag` that is no longer current: Conflict. */
  updateTenant(tenantId: string, changes: TenantChanges, more?: { etag?: string }): Promise<UpdatedTenant>;
  deleteTenant(tenantId: string, more?: { force?: boolean }): Promise<Deletion>;
  calculateResources(serviceRequirements: Record<string, number>, slaTarget?: SlaTarget): Promise<ResourcePlan>;

  /** Committed when it is fulfilled. May be sent again: the same series at the same instant is stored once. */
  sendMetrics(tenantId: string, metrics: Record<string, number>, more?: { timestamp?: string | Date }): Promise<PushResult>;
  sendBatch(
    tenantId: string,
    entries: readonly { metrics: Record<string, number>; timestamp?: string | Date }[],
  ): Promise<PushResult>;
  getMonitoring(
    tenantId: string,
    asked?: { metricType?: string; hours?: number; interval?: '15s' | '1m' | '5m' | '1h' | '1d' },
  ): Promise<Monitoring>;
  getSystemMetrics(): Promise<SystemMetrics>;

  /** A text, ready for `kubectl apply`. */
  getManifest(
    tenantId: string,
    asked?: { format?: 'yaml' | 'json'; includeMonitoring?: boolean; includeIngress?: boolean; namespace?: string },
  ): Promise<string>;
  validateManifest(
    tenantId: string,
    manifest: string,
    more?: { strictValidation?: boolean; targetSimulator?: boolean; kubernetesVersion?: string },
  ): Promise<ManifestReport>;
  /** With `wait` fulfilled when it is over, `onProgress` hearing of every step; rejected with DeploymentFailed. */
  deploy(tenantId: string, options: DeployOptions & { wait: true }): Promise<Deployment>;
  deploy(tenantId: string, options?: DeployOptions): Promise<DeploymentBegun>;
  getDeploymentStatus(tenantId: string): Promise<Deployment>;
  getDeployments(tenantId: string, asked?: { limit?: number }): Promise<Deployments>;
  reportDeployment(
    tenantId: string,
    status: 'completed' | 'failed',
    more?: { deployedAt?: string | Date; message?: string },
  ): Promise<DeploymentReport>;

  getSla(tenantId: string, asked?: { windows?: readonly string[]; at?: string | Date }): Promise<Sla>;
  getSlaAnalysis(tenantId: string, asked?: { period?: string }): Promise<SlaAnalysis>;
  getSlaSummary(): Promise<SlaSummary>;
  getIncidents(tenantId: string, asked?: { since?: string | Date; until?: string | Date }): Promise<Incidents>;
  createAlert(tenantId: string, rule: AlertRequest): Promise<AlertRule>;
  getAlerts(tenantId: string): Promise<AlertRules>;
  getActiveAlerts(tenantId: string): Promise<AlertRules>;
  deleteAlert(tenantId: string, ruleId: string): Promise<null>;

  /** Every `interval` milliseconds; a change of the tenant's availability comes at once. */
  subscribeToMonitoring(
    tenantId: string,
    onMessage: (message: MonitoringMessage) => void,
    more?: Live & { metrics?: readonly string[]; interval?: number },
  ): Subscription;
  /** The same with `sla_data`. */
  subscribeToRealtime(tenantId: string, onMessage: (message: RealtimeMessage) => void, more?: Live): Subscription;
  /** What is firing, then every change; after a reconnection what is firing then again. */
  subscribeToAlerts(tenantId: string, onMessage: (message: AlertMessage) => void, more?: Live): Subscription;
  /** Until it is over. */
  followDeployment(deploymentId: string, onMessage: (step: DeploymentStep) => void, more?: Live): Subscription;
}

export interface DeployOptions {
  method?: 'kubernetes' | 'gitops' | 'simulator';
  wait?: boolean;
  onProgress?: (step: DeploymentStep) => void;
  dryRun?: boolean;
  includeMonitoring?: boolean;
  includeIngress?: boolean;
  force?: boolean;
  reason?: string;
}

export class ECPError extends Error {
  /** Stable, for programs. */
  readonly code: string;
  readonly details: Record<string, any>;
  /** By it the service's operators find the request. */
  readonly requestId: string | null;
  readonly status: number | null;
  readonly retryAfter: number | null;
}
export class Unreachable extends ECPError {}
export class AnsweredError extends ECPError {}
export class InvalidRequest extends AnsweredError {
  get fields(): { field: string; message: string }[];
}
export class Unauthorized extends AnsweredError {}
export class Forbidden extends AnsweredError {}
export class NotFound extends AnsweredError {}
export class Conflict extends AnsweredError {}
export class RateLimited extends AnsweredError {}
export class Unavailable extends AnsweredError {}
export class ServerFault extends AnsweredError {}
export class DeploymentFailed extends ECPError {}
