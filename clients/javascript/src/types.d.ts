// Written by clients/generate.py from ecpmon/client/types; changes are made there.

/** What if every gap was down, and what if every gap was up. */
export interface Bounds {
  low: number | null;
  high: number | null;
}

/** A success that will not do what it is most likely meant for (docs/errors.md). */
export interface Hint {
  code: string;
  message: string;
}

export interface Resources {
  cpu: string;
  memory: string;
  gpu: number;
  storage: string;
}

export interface SlaTarget {
  availability?: string;
  response_time?: string;
  concurrent_users?: number;
}

export interface CreatedResource {
  type: string;
  name: string;
  status: string;
  replicas: string | null;
}

export interface Deployment {
  tenant_id: string;
  deployment_id: string;
  method: string;
  status: string;
  progress: number;
  phase: string;
  message: string;
  created_resources: CreatedResource[];
  pending_resources: PendingResource[];
  created_at: string;
  finished_at: string | null;
  estimated_completion: string | null;
  requested_by: string;
  forced_because: string | null;
  burned_minutes: number | null;
  burned_bounds: Bounds;
  burned_coverage: number | null;
  logs: LogLine[];
}

/** `deployment_id` None: a dry run, with what validation says beside it. */
export interface DeploymentBegun {
  deployment_id: string | null;
  status: string;
  valid?: boolean;
  errors?: string[];
  warnings?: string[];
  findings?: Finding[];
}

export interface DeploymentReport {
  deployment_id: string;
  status: string;
}

export interface Deployments {
  tenant_id: string;
  deployments: Deployment[];
}

export interface DeploymentStep {
  deployment_id: string;
  status: string;
  progress: number;
  phase: string;
  message: string;
}

export interface Finding {
  severity: string;
  category: string;
  code: string;
  document: number | null;
  object: string | null;
  path: string | null;
  message: string;
  line?: number | null;
}

export interface LogLine {
  timestamp: string;
  level: string;
  message: string;
}

/** `warnings` and `errors` are one text for each; `findings` has the same in parts. */
export interface ManifestReport {
  valid: boolean;
  warnings: string[];
  errors: string[];
  findings: Finding[];
  simulator_compatible: boolean;
  pod_security: string;
  resource_summary: Record<string, any>;
  estimated_cost: string | null;
  deployment_time: string | null;
}

export interface PendingResource {
  type: string;
  name: string;
  status: string;
}

export interface SimulatorDeployment {
  status: string;
  deployment_id: string;
  simulator_dashboard: string;
  resources_count: number;
  sla_monitoring: boolean;
  failure_scenario: string | null;
}

export interface AlertMessage {
  alert_id: string;
  tenant_id: string | null;
  severity: string;
  type: string;
  message: string;
  metric: string | null;
  current_value: number | null;
  threshold: number | null;
  status: 'firing' | 'resolved';
  timestamp: string;
}

export interface AlertRequest {
  alert_name: string;
  condition: string;
  duration?: string;
  severity?: string;
  actions?: (WebhookAction | EmailAction)[];
}

export interface AlertRule {
  rule_id: string;
  tenant_id: string;
  alert_name: string;
  kind: string;
  condition: string;
  duration: string;
  severity: string;
  actions: (Record<string, any>)[];
  state: string;
  since: string | null;
  value: number | null;
  frozen: boolean;
  flapping: boolean;
  alert_id: string | null;
  created_at: string;
  hints: Hint[];
}

export interface AlertRules {
  tenant_id: string;
  alerts: AlertRule[];
}

export interface EmailAction {
  type: 'email';
  recipients: string[];
}

export interface ErrorBudget {
  total_minutes: number;
  consumed_minutes: number;
  remaining_minutes: number;
  remaining_percent: number | null;
}

export interface Incident {
  start: string;
  end: string | null;
  ongoing: boolean;
  duration_seconds: number;
  down_seconds: number;
  recovery_seconds: number | null;
  cause: string | null;
  budget_minutes: number;
  recoveries: (Record<string, any>)[];
}

export interface Incidents {
  tenant_id: string;
  from: string;
  to: string;
  incidents: Incident[];
  gap_minutes: number;
}

export interface MaintenanceRequest {
  start: string;
  reason: string;
  end?: string;
  duration?: string;
  rrule?: string;
  time_zone?: string;
  title?: string;
  approved_by?: string;
  category?: string;
}

export interface Sla {
  tenant_id: string;
  target: number;
  as_of: string;
  state: string;
  stale: boolean;
  windows: SlaWindow[];
}

export interface SlaAnalysis {
  tenant_id: string;
  current_sla: number | null;
  target_sla: number;
  status: string;
  uptime_percentage: number | null;
  failure_count: number;
  recovery_time_avg: number | null;
  bounds: Bounds;
  coverage: number | null;
  verdict: string;
}

/** Worst first. */
export interface SlaSummary {
  as_of: string;
  tenants: (Record<string, any>)[];
}

export interface SlaWindow {
  window: string;
  start: string;
  end: string;
  availability: number | null;
  bounds: Bounds;
  coverage: number | null;
  verdict: string;
  status: string;
  eligible_minutes: number;
  up_minutes: number;
  down_minutes: number;
  gap_minutes: number;
  maintenance_minutes: number;
  error_budget: ErrorBudget;
  burn_rate: number | null;
  projected_exhaustion: string | null;
  failure_count: number;
  recovery_time_avg: number | null;
}

export interface WebhookAction {
  type: 'webhook';
  url: string;
  method?: 'POST' | 'PUT';
  headers?: Record<string, string>;
}

export interface Monitoring {
  tenant_id: string;
  time_range: TimeRange;
  step_seconds: number;
  metrics: Record<string, Point[]>;
  summary: Record<string, number>;
  metric_sources: Record<string, string>;
  sources: Record<string, any>;
}

/** `state` comes with a change of the tenant's availability. */
export interface MonitoringMessage {
  timestamp: string;
  tenant_id: string;
  metrics: Record<string, number>;
  state?: string;
}

export interface Point {
  timestamp: string;
  value: number;
}

export interface PushEntry {
  metrics: Record<string, number>;
  timestamp?: string;
}

/** `accepted`: samples that are stored now. `rejected` names the first 20 of `rejected_count` that are not. */
export interface PushResult {
  accepted: number;
  rejected: RejectedSample[];
  rejected_count: number;
  timestamp: string;
  hint?: Hint;
}

/** `sla_data` null: not known right now. */
export interface RealtimeMessage {
  timestamp: string;
  tenant_id: string;
  metrics: Record<string, number>;
  sla_data: SlaData | null;
  state?: string;
}

export interface RejectedSample {
  metric: string;
  reason: string;
  message: string;
}

/** Of the last 24 hours. */
export interface SlaData {
  availability: number | null;
  bounds: Bounds;
  coverage: number | null;
  stale: boolean;
  status: string;
  uptime_percentage: number | null;
  downtime_minutes: number;
}

export interface SystemMetrics {
  cluster_status: string;
  total_tenants: number;
  active_tenants: number;
  total_resources: Record<string, any>;
  used_resources: Record<string, any>;
  utilization: Record<string, number>;
}

export interface TimeRange {
  start: string;
  end: string;
}

export interface AuditEntries {
  entries: AuditEntry[];
  next_cursor: string | null;
}

/** `before` and `after` hold what was changed; null: there was nothing, or is nothing. */
export interface AuditEntry {
  id: number;
  at: string;
  actor: string;
  address: string | null;
  request_id: string | null;
  tenant_id: string | null;
  action: string;
  subject: string | null;
  before: Record<string, any> | null;
  after: Record<string, any> | null;
}

export interface ReceivedAlert {
  fingerprint: string;
  alert_name: string;
  severity: string;
  status: string;
  starts_at: string;
  ends_at: string | null;
  received_at: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface ReceivedAlerts {
  tenant_id: string;
  alerts: ReceivedAlert[];
  pagination: Pagination;
}

export interface Alternative {
  preset: string;
  resources: Resources;
  cost: string;
  performance_impact: string;
}

/** `effect`: what bringing it out does, for example `rollout`. */
export interface Change {
  service: string;
  field: string;
  effect: string;
}

export interface CreatedTenant {
  tenant_id: string;
  status: 'pending' | 'deploying' | 'running' | 'degraded' | 'failed' | 'deleting';
  deployment_id: string;
  estimated_resources: Resources;
  estimated_cost: string;
  deployment_time: string;
  created_at: string;
}

export interface Deletion {
  message: string;
  deletion_id: string;
  estimated_time: string;
}

export interface Pagination {
  skip: number;
  limit: number;
  has_more: boolean;
}

export interface ResourcePlan {
  recommended_preset: string;
  resources: Resources;
  gpu_type: string | null;
  estimated_cost: string;
  alternatives: Alternative[];
}

export interface Service {
  service_name: string;
  service_type: string;
  enabled: boolean;
  count: number;
  image: string;
  resources: ServiceResources;
}

export interface ServiceResources {
  cpu_request: string;
  memory_request: string;
}

/** `etag` goes into `update_tenant`, for a change that nobody else has overtaken. */
export interface Tenant {
  tenant_id: string;
  name: string | null;
  preset: string;
  is_demo: boolean;
  status: 'pending' | 'deploying' | 'running' | 'degraded' | 'failed' | 'deleting';
  status_reason: string | null;
  service_requirements: Record<string, number>;
  resources: Resources;
  gpu_type: string | null;
  sla_target: SlaTarget;
  sli_source: string;
  push_interval: number;
  push_mode: string;
  time_zone: string;
  maintenance_accounting: string;
  language: string;
  credits: Record<string, any> | null;
  service_hours: Record<string, any> | null;
  exclusion_rules: Record<string, any> | null;
  labels: Record<string, string>;
  services: Service[];
  description: string | null;
  created_at: string;
  updated_at: string;
  hints: Hint[];
  etag?: string;
}

/** What is absent stays; of a mapping by service as well, where null takes a member away. */
export interface TenantChanges {
  name?: string;
  description?: string | null;
  preset?: 'micro' | 'small' | 'medium' | 'large' | null;
  service_requirements?: Record<string, number | null>;
  sla_target?: SlaTarget;
  service_resources?: Record<string, Record<string, string | null> | null> | null;
  sli_source?: 'auto' | 'prometheus' | 'simulator' | 'push';
  push_mode?: 'changes' | 'samples';
  language?: 'en' | 'ko';
  time_zone?: string;
  maintenance_accounting?: 'exclude' | 'count_as_up';
  credits?: Record<string, any> | null;
  service_hours?: Record<string, any> | null;
  exclusion_rules?: Record<string, any> | null;
  labels?: Record<string, string | null> | null;
  acknowledge_autoscaling?: boolean;
}

export interface TenantPage {
  tenants: TenantRow[];
  total_count: number;
  demo_count: number;
  active_count: number;
  pagination: Pagination;
}

/** A new tenant. Without a preset it gets the recommended one, without a target 99.5 %. */
export interface TenantRequest {
  tenant_id: string;
  name: string;
  service_requirements: Record<string, number>;
  preset?: 'micro' | 'small' | 'medium' | 'large' | null;
  sla_target?: SlaTarget;
  description?: string | null;
  sli_source?: 'auto' | 'prometheus' | 'simulator' | 'push';
  push_interval?: number;
  push_mode?: 'changes' | 'samples';
  time_zone?: string;
  maintenance_accounting?: 'exclude' | 'count_as_up';
  language?: 'en' | 'ko';
  credits?: Record<string, any> | null;
  service_hours?: Record<string, any> | null;
  exclusion_rules?: Record<string, any> | null;
  labels?: Record<string, string>;
  evidence_profile?: Record<string, any> | null;
  component_weights?: Record<string, number> | null;
}

export interface TenantRow {
  tenant_id: string;
  name: string | null;
  preset: string;
  is_demo: boolean;
  status: 'pending' | 'deploying' | 'running' | 'degraded' | 'failed' | 'deleting';
  services_count: number;
  cpu_limit: string;
  memory_limit: string;
  gpu_limit: number;
  storage_limit: string;
  gpu_type: string | null;
  sla_availability: string | null;
  sla_bounds: Bounds;
  sla_coverage: number | null;
  sla_status: string;
  sla_stale: boolean;
  sla_as_of: string | null;
  sla_response_time: string | null;
  created_at: string;
  description: string | null;
}

/** `changes`: what a deployment of it would change. */
export interface UpdatedTenant {
  tenant_id: string;
  name: string | null;
  status: 'pending' | 'deploying' | 'running' | 'degraded' | 'failed' | 'deleting';
  preset: string;
  recommended_preset: string | null;
  service_requirements: Record<string, number>;
  sla_target: SlaTarget;
  estimated_resources: Resources;
  estimated_cost: string | null;
  deployment_time: string | null;
  updated_at: string;
  changes: Change[];
  redeploy_needed: boolean;
  restarts_pods: string[];
}
