"""Settings of databases, processes, the address and callers."""

from ipaddress import ip_network
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import DirectoryPath, Field, SecretStr, ValidationInfo, field_validator, model_validator

from ecpmon.settings.parts import Part, plain_http

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
# Of the schemes that origins have.
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_WINDOW: Final = "(1h|24h|7d|30d|90d|month|quarter)"


class Serving(Part):
    """Whom we answer, with which processes and out of which databases."""

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
    oidc_client_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=300,
        description="Client of the issuer as which the console signs people in: a public one, by authorisation code "
        "with PKCE. Empty: the console asks for a token.",
    )
    oidc_scope: str = Field(
        default="openid",
        min_length=1,
        max_length=300,
        description="Scopes that the console asks the issuer for, with blanks between them.",
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
    status_page_seconds: float = Field(
        default=10,
        ge=0,
        description="Seconds for which a status page is read once for all who look at it.",
    )
    metrics_windows: str = Field(
        default="1h,24h,30d,month",
        pattern=f"^{_WINDOW}(,{_WINDOW})*$",
        description="Windows of SLA figures that `/metrics` shows, of 1h, 24h, 7d, 30d, 90d, month and quarter: four "
        "series of each tenant for each.",
    )
    watchdog_seconds: float = Field(
        default=30,
        ge=0,
        description="The process ends itself when its event loop stood still for so long; 0: never.",
    )
    log_format: Literal["console", "json"] = Field(default="console", description="Log output format.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Log level.")

    _own_urls = field_validator("demo_simulator_url", "external_url")(plain_http)

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
        if self.oidc_client_id is not None and self.oidc_issuer is None:
            raise ValueError("ECPMON_OIDC_CLIENT_ID needs ECPMON_OIDC_ISSUER: who would sign people in?")
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
