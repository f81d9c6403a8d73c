"""Settings: the only reader of the environment.

Every field is `ECPMON_<NAME>`; a test checks docs/settings.md against this.
"""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    DirectoryPath,
    Field,
    FilePath,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
# Of the schemes that origins have.
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SECRET_BYTES: Final = 16
_LOGO_BYTES: Final = 256 * 1024

_WINDOW: Final = "(1h|24h|7d|30d|90d|month|quarter)"


# What the source documents call them: counts where ours is not set.
ALIASES: Final = {
    "database_url": "DATABASE_URL",
    "demo_database_url": "DEMO_DATABASE_URL",
    "kubeconfig": "KUBERNETES_CONFIG_PATH",
    "prometheus_url": "MONITORING_ENDPOINT",
    "simulator_url": "K8S_SIMULATOR_URL",
}


class _Aliases(PydanticBaseSettingsSource):
    """The environment by the names of the source documents."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return os.environ.get(ALIASES.get(field_name, "")) or None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return {field: os.environ[name] for field, name in ALIASES.items() if os.environ.get(name)}


class Settings(BaseSettings):
    """Frozen settings of one `ecpmon serve` process."""

    # A variable that is set to nothing is not set: compose files and unit files write `ECPMON_SIMULATOR_URL=`.
    model_config = SettingsConfigDict(
        env_prefix="ECPMON_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL URL of the production database (TimescaleDB is required)."
    )
    database_direct_url: SecretStr | None = Field(
        default=None,
        description="URL of the same database past a transaction pooler, for LISTEN; empty: the one above.",
    )
    demo_database_url: SecretStr | None = Field(
        default=None, description="URL of the demo database; without it `X-Demo-Mode: true` answers 503."
    )
    sql_user: str = Field(
        default="ecp_user",
        description="Role that `ecpmon migrate` makes for people who write to the production database by SQL.",
    )
    sql_password: SecretStr | None = Field(
        default=None, description="Password of that role; empty: no such role is made."
    )
    sql_demo_user: str = Field(default="ecp_demo_user", description="The same for the demo database.")
    sql_demo_password: SecretStr | None = Field(
        default=None, description="Password of that role; empty: no such role is made."
    )
    sql_reader: str = Field(
        default="ecp_reader",
        description="Role that only reads, of both databases, for Grafana; made by `ecpmon migrate`.",
    )
    sql_reader_password: SecretStr | None = Field(
        default=None, description="Password of that role; empty: no such role is made."
    )
    demo_tenants: bool = Field(
        default=True,
        description="A demo database begins with the tenants of the source documents, made once by the worker.",
    )
    demo_simulator_url: str | None = Field(
        default=None,
        description="URL of the simulated cluster of demo mode; empty: `/demo` under `ECPMON_SIMULATOR_URL`.",
    )
    demo_mode_default: bool = Field(
        default=False, description="Mode of requests that carry no `X-Demo-Mode` header."
    )
    role: Literal["all", "front", "worker", "supervised"] = Field(
        default="supervised",
        description="What a process is for: `front` answers, `worker` runs the jobs, `all` does both; `supervised`"
        " starts fronts and a worker and watches them.",
    )
    fronts: int = Field(
        default=0, ge=0, le=256, description="Fronts that `supervised` starts; 0: as many as there are cores."
    )
    front: int = Field(
        default=0, ge=0, le=256, description="Which front of its machine a process is; given by `supervised`."
    )
    run_dir: DirectoryPath | None = Field(
        default=None,
        description="Private folder in which the processes of one machine meet; `supervised` makes one for its own.",
    )
    host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    port: int = Field(default=8001, ge=0, le=65535, description="Port the API listens on.")
    external_url: str = Field(
        default="http://127.0.0.1:8001", description="URL under which people reach this API; used in alerts."
    )

    auth: Literal["none", "tokens"] = Field(
        default="tokens",
        description="`none` is for development on loopback and refused on any other address.",
    )
    auth_none_anywhere: bool = Field(
        default=False, description="Allow `ECPMON_AUTH=none` on an address other than loopback."
    )
    oidc_allow_http: bool = Field(
        default=False,
        description="Allow an issuer, and keys of it, over plain http; on loopback it always is.",
    )
    oidc_issuer: str | None = Field(
        default=None,
        max_length=300,
        description="Issuer of signed tokens (OIDC), as it stands in their `iss`; its keys are found by its discovery "
        "document. Empty: only tokens of our own are taken.",
    )
    oidc_audience: str | None = Field(
        default=None,
        max_length=300,
        description="What `aud` of signed tokens must name; needed with an issuer.",
    )
    oidc_jwks_url: str | None = Field(
        default=None, description="Where the issuer's keys are; empty: where its discovery document says."
    )
    oidc_algorithms: str = Field(
        default="RS256,ES256,EdDSA",
        pattern=r"^(RS256|ES256|EdDSA)(,(RS256|ES256|EdDSA))*$",
        description="Algorithms by which tokens may be signed, of RS256, ES256 and EdDSA (Ed25519).",
    )
    oidc_roles_claim: str = Field(
        default="roles",
        min_length=1,
        max_length=200,
        description="Claim that holds the roles: a name, or a path such as `realm_access.roles`.",
    )
    oidc_tenants_claim: str = Field(
        default="tenant_access",
        min_length=1,
        max_length=200,
        description="Claim that holds names of tenants, or `*` for every one: a name or a path.",
    )
    oidc_leeway: float = Field(
        default=30,
        ge=0,
        le=300,
        description="Seconds by which the issuer's clock and ours may differ.",
    )
    oidc_max_lifetime: float = Field(
        default=86_400,
        gt=0,
        description="Seconds for which a signed token may be valid; nobody can revoke one.",
    )
    oidc_refresh: float = Field(
        default=300,
        ge=10,
        description="Seconds after which the issuer's keys are fetched anew; sooner, at most every 5 s, for a token "
        "whose key is not known.",
    )
    oidc_keys_max_age: float = Field(
        default=86_400, ge=60, description="Seconds for which keys are good while the issuer does not answer."
    )
    cors_origins: str = Field(
        default="",
        max_length=10_000,
        description="Origins of pages whose scripts may ask and open sockets, such as `http://localhost:3000`, with "
        "commas between them. Sockets of other pages are refused, but for our own.",
    )
    trusted_proxies: str = Field(
        default="",
        max_length=10_000,
        description="Addresses and networks of proxies before us, with commas between them: the audit log and limits "
        "per address go by what these say in `X-Forwarded-For`. Empty: nobody is believed.",
    )
    metrics_auth: Literal["token", "open"] = Field(
        default="token",
        description="`/metrics` needs a token that may read; `open`: without one it shows no tenant's series.",
    )
    metrics_max_age: float = Field(
        default=5, ge=0, description="Seconds for which `/metrics` is rendered once for all who ask."
    )
    metrics_windows: str = Field(
        default="1h,24h,30d,month",
        pattern=f"^{_WINDOW}(,{_WINDOW})*$",
        description="Windows of SLA figures that `/metrics` shows, of 1h, 24h, 7d, 30d, 90d, month and quarter: four "
        "series of each tenant for each.",
    )
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
    pull_timeout: float = Field(default=4.0, gt=0, description="Seconds one pull may take.")
    pull_buffer_frames: int = Field(
        default=200_000, ge=100, description="Pulled frames kept in memory while the database is away."
    )

    raw_retention_days: float = Field(default=7, gt=0, description="Raw samples are kept this long.")
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

    flap_firings: int = Field(
        default=3,
        ge=0,
        le=100,
        description="A threshold rule that fires so often within `ECPMON_FLAP_WINDOW` flaps: it tells no more until it"
        " has calmed; 0: every change is told.",
    )
    flap_window: float = Field(
        default=600, gt=0, le=86_400, description="Seconds within which the firings of a rule make it flap."
    )
    flap_calm: float = Field(
        default=300, ge=1, le=86_400, description="Seconds without a change after which a rule flaps no more."
    )
    notifications_per_receiver_minute: int = Field(
        default=60,
        ge=1,
        description="Messages of a tenant to one receiver, at once and per minute; more are merged.",
    )
    notifications_per_tenant_minute: int = Field(
        default=300, ge=1, description="Messages of a tenant, at once and per minute; more are merged."
    )
    webhook_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Secret of at least 16 bytes that the keys of outgoing webhooks are derived from, together with"
        " one that the database keeps; empty: from that one alone.",
    )
    webhook_allow_loopback: bool = Field(
        default=False, description="Allow webhook targets on loopback (the embedded stack does)."
    )
    webhook_allow_private: bool = Field(
        default=False, description="Allow webhook targets in private networks."
    )
    smtp_host: str | None = Field(
        default=None, description="SMTP server for e-mail actions and statements; empty: no e-mail is sent."
    )
    smtp_port: int = Field(default=25, ge=1, le=65535, description="Port of the SMTP server.")
    smtp_from: str = Field(default="ecpmon@localhost", description="Sender of e-mail.")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        default="none", description="How the connection to the SMTP server is secured."
    )
    smtp_username: str | None = Field(default=None, description="User at the SMTP server; empty: no login.")
    smtp_password: SecretStr | None = Field(default=None, description="Password of that user.")
    sla_webhook_url: str | None = Field(
        default=None, description="Webhook that the built-in SLA rules of every new tenant notify."
    )
    gitops_url: str | None = Field(
        default=None,
        description="Git remote that deployments by gitops push to: https, ssh or file, no password in it.",
    )
    gitops_branch: str = Field(default="main", description="Branch that deployments by gitops push to.")
    gitops_token: SecretStr | None = Field(
        default=None, description="Token for an https git remote; it needs to read and write the repository."
    )
    gitops_author: str = Field(
        default="ecpmon <ecpmon@localhost>", description="Author of gitops commits, `Name <address>`."
    )
    gitops_dir: str | None = Field(
        default=None, description="Work folder of gitops, one per process; it holds a clone and no secret."
    )
    kubeconfig: str | None = Field(
        default=None,
        description="Kubeconfig file of the cluster to deploy to, or `in-cluster`; empty: no such deployments.",
    )
    kube_context: str | None = Field(
        default=None, description="Context of the kubeconfig; empty: its current one."
    )
    rollout_timeout: float = Field(
        default=600, gt=0, description="Seconds a rollout may take until it is given up."
    )
    deployment_takeover: float = Field(
        default=30,
        ge=1,
        description="Seconds without a sign of life after which another process goes on with a deployment.",
    )
    recovery_recheck: float = Field(
        default=300, gt=0, description="Seconds after a restart until a down tenant is looked at again."
    )
    recovery_max_restarts: int = Field(
        default=3, ge=0, description="Most restarts of a tenant by alerts within `ECPMON_RECOVERY_WINDOW`."
    )
    recovery_window: float = Field(
        default=3600, gt=0, description="Seconds over which a tenant's restarts are counted."
    )
    recovery_spares_healthy: bool = Field(
        default=True,
        description="An alert about a tenant that is measured up is told, and restarts nothing.",
    )
    pdf_font: FilePath | None = Field(
        default=None,
        description="TrueType file with Hangul, embedded in PDF statements; empty: one that comes with ecpmon.",
    )
    statement_operator: str = Field(
        default="",
        max_length=200,
        description="Who issues the statements; they name it, and PDFs as their author.",
    )
    statement_logo: FilePath | None = Field(
        default=None,
        description="PNG or SVG file of at most 256 KiB (a PNG: 2,000 pixels on each side) at the top of statements.",
    )
    watchdog_seconds: float = Field(
        default=30,
        ge=0,
        description="The process ends itself when its event loop stood still for so long; 0: never.",
    )
    log_format: Literal["console", "json"] = Field(default="console", description="Log output format.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Log level.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, then our own variables, then those of the source documents."""
        return init_settings, env_settings, _Aliases(settings_cls)

    def simulator_of(self, *, demo: bool) -> str | None:
        """URL of the simulated cluster that a mode deploys to."""
        if not demo:
            return self.simulator_url
        under = f"{self.simulator_url}/demo" if self.simulator_url else None
        return self.demo_simulator_url or under

    @field_validator("*", mode="before")
    @classmethod
    def _blank_is_none(cls, value: Any, info: ValidationInfo) -> Any:
        """Nothing but blanks in a setting that may be absent means that it is absent."""
        optional = info.field_name is not None and cls.model_fields[info.field_name].default is None
        return None if optional and isinstance(value, str) and not value.strip() else value

    @field_validator("flap_firings")
    @classmethod
    def _more_than_once(cls, value: int) -> int:
        if value == 1:
            raise ValueError("is at least 2, or 0 to have every change told")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _strong(cls, value: SecretStr) -> SecretStr:
        size = len(value.get_secret_value().encode())
        if 0 < size < _SECRET_BYTES:
            raise ValueError(
                f"has {size} bytes, which is too weak to sign webhooks; give at least {_SECRET_BYTES}, such as the"
                " output of `openssl rand -base64 32`, or leave it empty"
            )
        return value

    @field_validator("statement_logo")
    @classmethod
    def _small_picture(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        if value.suffix.lower() not in (".png", ".svg") or value.stat().st_size > _LOGO_BYTES:
            raise ValueError(f"must be a .png or .svg file of at most {_LOGO_BYTES // 1024} KiB")
        return value

    @field_validator(
        "simulator_url", "demo_simulator_url", "prometheus_url", "alertmanager_url", "external_url"
    )
    @classmethod
    def _plain_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must be an http:// or https:// URL")
        return value.rstrip("/") if value else value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        """As browsers write them."""
        return ",".join(_origin(part.strip()) for part in value.split(",") if part.strip())

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for part in filter(None, map(str.strip, value.split(","))):
            ip_network(part)
        return value

    @field_validator("oidc_issuer", "oidc_jwks_url")
    @classmethod
    def _not_in_the_clear(cls, value: str | None, info: ValidationInfo) -> str | None:
        """As it stands: an issuer is compared to the letter, its last slash included."""
        if value is not None and not is_safe_url(value, allow_http=info.data.get("oidc_allow_http", False)):
            raise ValueError(
                "must be an https:// URL (or http:// on loopback); ECPMON_OIDC_ALLOW_HTTP=true allows http"
            )
        return value

    @model_validator(mode="after")
    def _meant_for_us(self) -> Self:
        if self.oidc_issuer is not None and self.oidc_audience is None:
            raise ValueError(
                "ECPMON_OIDC_ISSUER needs ECPMON_OIDC_AUDIENCE: without it tokens for others would be taken"
            )
        return self


def _origin(text: str) -> str:
    """Raises ValueError."""
    parts = urlsplit(text.lower())
    if (
        parts.scheme not in DEFAULT_PORTS
        or not parts.hostname
        or f"{parts.scheme}://{parts.netloc}" != text.lower()
    ):
        raise ValueError(
            f"{text[:100]!r} is no origin such as https://ops.example.com: a scheme, a host, perhaps a port"
        )
    if "*" in parts.netloc or "@" in parts.netloc:
        raise ValueError(f"{text[:100]!r} is not one origin; name each of them")
    port = "" if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{parts.netloc.removesuffix(f':{parts.port}')}{port}"


def is_safe_url(url: str, *, allow_http: bool) -> bool:
    """Whether what is read from there cannot be changed on the way."""
    parts = urlsplit(url)
    plain = parts.scheme == "http" and (allow_http or parts.hostname in LOOPBACK)
    return bool(parts.hostname) and (parts.scheme == "https" or plain)
