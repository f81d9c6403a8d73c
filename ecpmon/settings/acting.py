"""Settings of what we do by ourselves: messages, deployments, recoveries and statements."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, FilePath, SecretStr, field_validator

from ecpmon.settings.parts import Part

_SECRET_BYTES: Final = 16
_LOGO_BYTES: Final = 256 * 1024


class Acting(Part):
    """Whom we tell, what we deploy and restart, and what we issue."""

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
