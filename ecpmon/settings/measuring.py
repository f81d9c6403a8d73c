"""Settings of limits, of where measurements come from, and of how long they are kept."""

from pydantic import Field, field_validator

from ecpmon.settings.parts import Part, plain_http


class Measuring(Part):
    """What may be sent, what is asked for by ourselves, and what is kept."""

    max_body_bytes: int = Field(default=8 * 2**20, ge=1024, description="Largest request body in bytes.")
    body_seconds: float = Field(default=30.0, gt=0, description="Seconds in which a body must arrive.")
    max_bytes_in_flight: int = Field(
        default=64 * 2**20,
        ge=2**20,
        description="Bytes of bodies that are held at once; one tenant gets a quarter of it.",
    )
    max_body_bytes_per_second: float = Field(
        default=16 * 2**20, gt=0, description="Bytes of bodies per second, per caller and per tenant."
    )
    max_samples_per_second: float = Field(
        default=120_000, gt=0, description="Pushed samples per second, per caller and per tenant."
    )
    remote_write_tenant_label: str = Field(
        default="tenant_id",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$",
        description="Label that names the tenant of a series that is sent by remote write or OTLP.",
    )
    max_batch: int = Field(default=10_000, ge=1, description="Most push entries in one request.")
    max_alerts: int = Field(
        default=1_000,
        ge=1,
        description="New alerts taken from one message of Alertmanager; for the rest it has to send it again.",
    )
    max_alerts_per_second: float = Field(
        default=500, gt=0, description="New alerts per second and caller; those seen before count a tenth."
    )
    max_series_per_tenant: int = Field(
        default=2_000,
        ge=10,
        description="Series a tenant may create; samples past it are rejected and counted.",
    )
    max_changes_per_day: int = Field(
        default=1_000,
        ge=10,
        description="Outages and gaps of a tenant per UTC day that are kept to the instant; a day with more is kept "
        "by the minute.",
    )
    max_maintenance_windows: int = Field(
        default=1_000, ge=1, description="Maintenance windows a tenant may have planned, past ones included."
    )
    max_maintenance_occurrences: int = Field(
        default=2_000, ge=1, description="How often a tenant's maintenance may begin within 93 days."
    )
    exclusions_need_approval: bool = Field(
        default=False,
        description="What is entered from now on (maintenance and other exclusions) counts only once somebody else has "
        "approved it.",
    )
    exclusion_notice_hours: float = Field(
        default=0,
        ge=0,
        le=8_760,
        description="What is entered later than so many hours before it begins counts only once somebody else has "
        "approved it; 0: no notice is needed.",
    )
    max_alert_rules: int = Field(
        default=200, ge=1, description="Alert rules a tenant may have beside the built-in ones."
    )
    max_actions_per_rule: int = Field(default=20, ge=1, le=100, description="Actions an alert rule may have.")
    max_tokens_per_tenant: int = Field(
        default=100, ge=1, description="Tokens a tenant may have, not counting those for every tenant."
    )
    token_retention_days: float = Field(
        default=90, gt=0, description="Tokens that expired or were revoked stay listed this long."
    )
    max_sockets: int = Field(
        default=10_000, ge=1, description="WebSockets that the processes of a machine hold open together."
    )
    max_sockets_per_token: int = Field(
        default=100,
        ge=1,
        description="Of these, sockets of one token; without authentication of one address.",
    )
    max_sockets_per_tenant: int = Field(default=500, ge=1, description="Of these, sockets about one tenant.")
    compute_processes: int = Field(
        default=2,
        ge=1,
        le=32,
        description="Processes per front for what would hold its event loop, made when needed; one tenant never has all"
        " of them.",
    )
    work_deadline: float = Field(
        default=15.0,
        gt=0,
        description="Seconds after which a request that has much to compute is answered with 503, and what still"
        " computes for it is ended.",
    )
    simulator_url: str | None = Field(default=None, description="URL of the deployment simulator.")
    simulator_interval: float = Field(default=5.0, gt=0, description="Seconds between simulator pulls.")
    prometheus_url: str | None = Field(default=None, description="URL of a Prometheus-compatible store.")
    prometheus_interval: float = Field(default=15.0, gt=0, description="Seconds between Prometheus points.")
    prometheus_headers: dict[str, str] = Field(
        default_factory=dict, description="Extra headers for Prometheus, such as `X-Scope-OrgID` (JSON)."
    )
    alertmanager_url: str | None = Field(
        default=None,
        description="URL of Alertmanager, which is asked about alerts of incidents that are open; empty: nobody is.",
    )
    alertmanager_headers: dict[str, str] = Field(
        default_factory=dict, description="Extra headers for Alertmanager, such as `Authorization` (JSON)."
    )
    alertmanager_send_urls: str | None = Field(
        default=None,
        description="URLs of the Alertmanagers that our own alerts are sent to, separated by commas (each of a pair);"
        " empty: none. `ECPMON_ALERTMANAGER_HEADERS` go with them.",
    )
    alertmanager_alive: bool = Field(
        default=False,
        description="They are told of an alert `ECPMonAlive` as well, which fires as long as ecpmon evaluates.",
    )
    deadman_url: str | None = Field(
        default=None,
        description="Where a message is posted while ecpmon evaluates, for whoever tells people when none comes; empty:"
        " nowhere.",
    )
    deadman_seconds: float = Field(default=60, ge=5, description="Seconds between these messages.")
    pull_timeout: float = Field(default=4.0, gt=0, description="Seconds one pull may take.")
    pull_buffer_frames: int = Field(
        default=200_000, ge=100, description="Pulled frames kept in memory while the database is away."
    )
    raw_retention_days: float = Field(default=7, gt=0, description="Raw samples are kept this long.")
    pack_after_hours: float = Field(
        default=3,
        ge=1,
        description="Raw samples of an hour are packed so long after its end, which takes an eighth of the room.",
    )
    rollup_5m_retention_days: float = Field(
        default=90, gt=0, description="5-minute rollups are kept this long."
    )
    rollup_1h_retention_days: float = Field(
        default=760, gt=0, description="Hourly rollups are kept this long."
    )
    sla_retention_days: float = Field(default=760, gt=0, description="SLA history is kept this long.")
    audit_retention_days: float = Field(
        default=760, ge=30, description="The log of who changed what is kept this long."
    )
    alert_retention_days: float = Field(
        default=395, gt=0, description="Alerts that are over are kept this long, ours and Alertmanager's."
    )
    notification_retention_days: float = Field(
        default=90, gt=0, description="Delivered notifications are kept this long."
    )

    @field_validator("alertmanager_send_urls")
    @classmethod
    def _peers(cls, value: str | None) -> str | None:
        """Without blanks and last slashes, each once."""
        parts = [part.strip() for part in (value or "").split(",")]
        return ",".join(dict.fromkeys(str(plain_http(part)) for part in parts if part)) or None

    _source_urls = field_validator("simulator_url", "prometheus_url", "alertmanager_url", "deadman_url")(
        plain_http
    )
