"""Every setting of the service, read once when the program is wired.

Knows nothing of what the settings are used for. Each is described for operators in docs/settings.md (tested).
"""

import os
from dataclasses import fields
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.vocabulary import Claim
from serving.periods import Periods
from serving.policy import DeskPolicy

PREFIX = "EVIDENCE_REVIEW_"
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Settings(BaseSettings):
    """Frozen. Environment variables carry the prefix EVIDENCE_REVIEW_, e.g. EVIDENCE_REVIEW_PORT."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", protected_namespaces=())

    database_url: str = Field("sqlite:///var/review.db", description="SQLAlchemy address of the database.")
    photo_dir: Path = Field(Path("var/photos"), description="Folder of the photo files.")
    cache_dir: Path = Field(
        default_factory=lambda: Path.home() / ".cache" / "dispute-evidence-review",
        description="Folder of prepared encoders.",
    )
    outcomes_dir: Path = Field(Path("datasets/outcomes"), description="Folder that exported outcomes go to.")
    model_dir: Path | None = Field(None, description="Folder of a model, used whatever the registry says.")
    registry_uri: str = Field(
        "sqlite:///var/mlflow/registry.db", description="MLflow address of the model registry; empty for none."
    )
    registry_poll_s: float = Field(30, gt=0, description="Pause between looks at the registry.")
    models_dir: Path = Field(Path("var/models"), description="Folder of models fetched from the registry.")
    retraining_dir: Path = Field(Path("var/mlflow"), description="Working folder of retrainings asked for on a page.")
    host: str = Field("127.0.0.1", description="Address the service listens on.")
    port: int = Field(8000, ge=1, le=65535, description="Port the service listens on.")
    max_case_bytes: int = Field(8_000_000, ge=1, description="Longest JSON body taken.")
    max_photo_bytes: int = Field(20_000_000, ge=1, le=20_000_000, description="Largest photo taken.")
    max_request_bytes: int = Field(64_000_000, ge=1, description="Longest body of any request.")
    session_hours: float = Field(12, gt=0, description="Lifetime of a browser session.")
    link_minutes: float = Field(60, gt=0, description="Lifetime of a one-time sign-in link.")
    attempts_allowed: int = Field(10, ge=1, description="Wrong passwords for one name before it is locked.")
    lock_minutes: float = Field(15, gt=0, description="How long a name stays locked.")
    sign_ins_per_minute: int = Field(30, ge=1, description="Sign-in requests taken from one address a minute.")
    requests_per_minute: int = Field(
        6000, ge=1, description="Requests taken from one token, session or stranger's address a minute."
    )
    secure_cookies: bool | None = Field(
        None, description="Mark cookies Secure; unset: if public_url is https, or nothing names the loopback."
    )
    oidc_issuer: str | None = Field(
        None,
        pattern=r"^(https://|http://(127\.0\.0\.1|localhost)([:/]|$))",
        description="OpenID Connect provider to sign in with, over HTTPS unless it is on this machine.",
    )
    oidc_client_id: str | None = Field(None, description="This service's id at the provider.")
    oidc_client_secret: SecretStr | None = Field(None, description="This service's secret at the provider.")
    oidc_name_claim: str = Field(
        "sub", description="Claim that holds the user's name here: one that the provider gives to nobody else, ever."
    )
    webhook_url: str | None = Field(None, pattern="^https?://", description="Where decisions and notices are sent.")
    webhook_secret: SecretStr | None = Field(None, min_length=24, description="What these messages are signed with.")
    webhook_attempts: int = Field(20, ge=1, description="Attempts at a message before it is given up.")
    webhook_timeout_s: float = Field(10, gt=0, description="Longest wait for the receiver's answer.")
    public_url: str | None = Field(None, pattern="^https?://", description="Address that browsers reach the desk at.")
    metrics_open: bool = Field(False, description="Whether strangers may read /metrics.")
    scoring_threads: int = Field(
        default_factory=lambda: min(4, os.cpu_count() or 1),
        ge=1,
        le=64,
        description="Turns at scoring at a time, and photos looked at.",
    )
    scoring_wait_s: float = Field(60, gt=0, description="Longest wait for a scoring turn before answering 503.")
    scoring_budget_s: float = Field(1.0, ge=0, description="How long cases scored together should take at most.")
    backlog_dir: Path = Field(Path("var/backlogs"), description="Folder of the backlogs asked for over the API.")
    backlog_processes: int = Field(1, ge=1, le=256, description="Processes that score such a backlog.")
    backlog_photos: str | None = Field(None, description="Folder or URL of the photos of backlogs sent in.")
    job_lease_s: float = Field(120, gt=0, description="How long a worker may hold a job before another takes it.")
    job_attempts: int = Field(5, ge=1, description="Attempts at a job before it counts as failed.")
    worker_poll_s: float = Field(1.0, gt=0, description="Pause of the scoring worker when there is no job.")
    privacy_key: SecretStr | None = Field(
        None, description="Key that opens masked values of exports again; 64 hexadecimal digits."
    )
    blind_share: float = Field(DeskPolicy.blind_share, ge=0, le=1, description="Share of cases decided blind first.")
    reason_required: bool = Field(DeskPolicy.reason_required, description="Whether a decision needs a reason.")
    undo_minutes: float = Field(DeskPolicy.undo_minutes, ge=0, description="How long a decision may be taken back.")
    four_eyes_minor: int = Field(DeskPolicy.four_eyes_minor, ge=0, description="Amount from which a lead reviews.")
    four_eyes_claims: tuple[Claim, ...] = Field(
        DeskPolicy.four_eyes_claims, description="Claims on which a lead reviews."
    )
    hold_minutes: float = Field(DeskPolicy.hold_minutes, gt=0, description="How long a taken case is held.")
    cases_per_person: int = Field(DeskPolicy.cases_per_person, ge=1, description="Cases one person may hold at a time.")
    skip_hours: float = Field(DeskPolicy.skip_hours, gt=0, description="How long a skipped case isn't offered again.")
    keep_cases_days: float | None = Field(Periods.keep_cases_days, gt=0, description="Days a decided case is kept.")
    keep_photos_days: float | None = Field(Periods.keep_photos_days, gt=0, description="Days its photos are kept.")
    keep_messages_days: float | None = Field(Periods.keep_messages_days, gt=0, description="… delivered messages.")
    keep_requests_days: float | None = Field(Periods.keep_requests_days, gt=0, description="… answers for repeats.")
    keep_sign_ins_days: float | None = Field(Periods.keep_sign_ins_days, gt=0, description="… who signed in when.")
    keep_backlogs_days: float | None = Field(Periods.keep_backlogs_days, gt=0, description="… backlogs that ended.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least severe log line kept.")

    @property
    def cookies_are_secure(self) -> bool:
        """Unless `secure_cookies` says it: where browsers come over HTTPS, or from beyond this machine."""
        if self.secure_cookies is not None:
            return self.secure_cookies
        public = urlsplit(self.public_url or "")
        return public.scheme == "https" or not {self.host, public.hostname} & _LOOPBACK

    @property
    def desk_policy(self) -> DeskPolicy:
        """The settings of the desk, as what takes decisions asks for them."""
        return DeskPolicy(**{field.name: getattr(self, field.name) for field in fields(DeskPolicy)})

    @property
    def periods(self) -> Periods:
        return Periods(**{field.name: getattr(self, field.name) for field in fields(Periods)})
