"""What goes in and comes out, as typed dictionaries: what the service sends is handed on as it is.

Times are RFC 3339 texts in UTC, percentages numbers from 0 to 100 unless they are texts such as `"99.9%"`. A later
service may send more members than are listed here. A tenant's contract (`credits`, `service_hours` …) is docs/sla.md.
"""

from ecpmon.client.types.common import Bounds as Bounds
from ecpmon.client.types.common import Hint as Hint
from ecpmon.client.types.common import Interval as Interval
from ecpmon.client.types.common import Method as Method
from ecpmon.client.types.common import Metrics as Metrics
from ecpmon.client.types.common import MetricType as MetricType
from ecpmon.client.types.common import Preset as Preset
from ecpmon.client.types.common import Resources as Resources
from ecpmon.client.types.common import SlaTarget as SlaTarget
from ecpmon.client.types.common import TenantStatus as TenantStatus
from ecpmon.client.types.deployments import CreatedResource as CreatedResource
from ecpmon.client.types.deployments import Deployment as Deployment
from ecpmon.client.types.deployments import DeploymentBegun as DeploymentBegun
from ecpmon.client.types.deployments import DeploymentReport as DeploymentReport
from ecpmon.client.types.deployments import Deployments as Deployments
from ecpmon.client.types.deployments import DeploymentStep as DeploymentStep
from ecpmon.client.types.deployments import Finding as Finding
from ecpmon.client.types.deployments import LogLine as LogLine
from ecpmon.client.types.deployments import ManifestReport as ManifestReport
from ecpmon.client.types.deployments import PendingResource as PendingResource
from ecpmon.client.types.deployments import SimulatorDeployment as SimulatorDeployment
from ecpmon.client.types.evidence import AlertMessage as AlertMessage
from ecpmon.client.types.evidence import AlertRequest as AlertRequest
from ecpmon.client.types.evidence import AlertRule as AlertRule
from ecpmon.client.types.evidence import AlertRules as AlertRules
from ecpmon.client.types.evidence import EmailAction as EmailAction
from ecpmon.client.types.evidence import ErrorBudget as ErrorBudget
from ecpmon.client.types.evidence import Incident as Incident
from ecpmon.client.types.evidence import Incidents as Incidents
from ecpmon.client.types.evidence import MaintenanceRequest as MaintenanceRequest
from ecpmon.client.types.evidence import Sla as Sla
from ecpmon.client.types.evidence import SlaAnalysis as SlaAnalysis
from ecpmon.client.types.evidence import SlaSummary as SlaSummary
from ecpmon.client.types.evidence import SlaWindow as SlaWindow
from ecpmon.client.types.evidence import WebhookAction as WebhookAction
from ecpmon.client.types.measurements import Monitoring as Monitoring
from ecpmon.client.types.measurements import MonitoringMessage as MonitoringMessage
from ecpmon.client.types.measurements import Point as Point
from ecpmon.client.types.measurements import PushEntry as PushEntry
from ecpmon.client.types.measurements import PushResult as PushResult
from ecpmon.client.types.measurements import RealtimeMessage as RealtimeMessage
from ecpmon.client.types.measurements import RejectedSample as RejectedSample
from ecpmon.client.types.measurements import SlaData as SlaData
from ecpmon.client.types.measurements import SystemMetrics as SystemMetrics
from ecpmon.client.types.measurements import TimeRange as TimeRange
from ecpmon.client.types.tenants import Alternative as Alternative
from ecpmon.client.types.tenants import Change as Change
from ecpmon.client.types.tenants import CreatedTenant as CreatedTenant
from ecpmon.client.types.tenants import Deletion as Deletion
from ecpmon.client.types.tenants import Pagination as Pagination
from ecpmon.client.types.tenants import ResourcePlan as ResourcePlan
from ecpmon.client.types.tenants import Service as Service
from ecpmon.client.types.tenants import ServiceResources as ServiceResources
from ecpmon.client.types.tenants import Tenant as Tenant
from ecpmon.client.types.tenants import TenantChanges as TenantChanges
from ecpmon.client.types.tenants import TenantPage as TenantPage
from ecpmon.client.types.tenants import TenantRequest as TenantRequest
from ecpmon.client.types.tenants import TenantRow as TenantRow
from ecpmon.client.types.tenants import UpdatedTenant as UpdatedTenant
