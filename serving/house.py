"""The parts of the service, wired once from the settings. Knows nothing of HTTP."""

from dataclasses import dataclass

from models.drift import Reference
from models.errors import InputError
from models.privacy import Sealer
from models.screenshot import ScreenshotReader
from serving.auth import Gatekeeper
from serving.backlog_jobs import BacklogJobs
from serving.champion import ChampionKeeper
from serving.courier import Courier, signing_key
from serving.drift import DriftWatch
from serving.erasure import Eraser
from serving.export import export_outcomes
from serving.inspection import Inspector
from serving.model_desk import ModelDesk
from serving.oidc import OidcProvider
from serving.photo_intake import PhotoIntake
from serving.photo_store import PhotoStore
from serving.retention import Retention
from serving.retraining import RetrainingRunner
from serving.scoring import Scoring, SuggestsRulings
from serving.settings import PREFIX, Settings
from serving.shadow import ShadowWorker
from serving.store import Store
from serving.worker import ScoringWorker


@dataclass(frozen=True)
class House:
    settings: Settings
    store: Store
    photos: PhotoStore
    photo_intake: PhotoIntake
    scoring: Scoring
    gatekeeper: Gatekeeper
    backlogs: BacklogJobs
    inspector: Inspector
    models: ModelDesk
    drift: DriftWatch
    identity_provider: OidcProvider | None = None
    sealer: Sealer | None = None
    webhook_key: bytes | None = None

    def worker(self) -> ScoringWorker:
        return ScoringWorker(
            self.store,
            self.photos,
            self.scoring,
            lease_s=self.settings.job_lease_s,
            max_attempts=self.settings.job_attempts,
            poll_s=self.settings.worker_poll_s,
            inspector=self.inspector,
        )

    def retraining_runner(self) -> RetrainingRunner | None:
        """Return what runs the retrainings asked for; None where a model folder or no registry is set."""
        settings = self.settings
        if self.models.registry_uri is None:
            return None
        return RetrainingRunner(
            self.store.retrainings,
            export=lambda by: export_outcomes(self.store, self.photo_intake, settings.outcomes_dir, by=by),
            arguments=(
                *("--outcomes", str(settings.outcomes_dir)),
                *("--registry", self.models.registry_uri),
                *("--work", str(settings.retraining_dir)),
                *("--cache", str(settings.cache_dir)),
            ),
            poll_s=settings.worker_poll_s,
            lease_s=settings.job_lease_s,
        )

    def shadow_worker(self) -> ShadowWorker | None:
        """Return what asks the challenger about live cases; None where a model folder or no registry is set."""
        settings = self.settings
        if self.models.registry_uri is None:
            return None
        from models.registry import ModelRegistry, load_suggester

        return ShadowWorker(
            ModelRegistry(self.models.registry_uri),
            self.store,
            self.photos,
            models_dir=settings.models_dir,
            load=lambda folder: load_suggester(folder, cache_dir=settings.cache_dir),
            lease_s=settings.job_lease_s,
            poll_s=settings.worker_poll_s,
            registry_poll_s=settings.registry_poll_s,
        )

    def courier(self) -> Courier | None:
        """Return what delivers the outbox; None where no webhook is set."""
        settings = self.settings
        if settings.webhook_url is None or self.webhook_key is None:
            return None
        return Courier(
            self.store.outbox,
            url=settings.webhook_url,
            key=self.webhook_key,
            attempts=settings.webhook_attempts,
            timeout_s=settings.webhook_timeout_s,
        )

    def eraser(self) -> Eraser:
        return Eraser(
            self.store,
            self.photos,
            self.backlogs,
            outcomes_dir=self.settings.outcomes_dir,
            delivering=self.settings.webhook_url is not None,
            sealer=self.sealer,
        )

    def retention(self) -> Retention:
        return Retention(self.store, self.backlogs, self.eraser(), self.settings.periods)

    def champion_keeper(self) -> ChampionKeeper | None:
        """Return what keeps up with the registry's champion; None where a model folder or no registry is set."""
        settings = self.settings
        if self.models.registry_uri is None:
            return None
        from models.registry import ModelRegistry, load_suggester

        return ChampionKeeper(
            ModelRegistry(self.models.registry_uri),
            self.store,
            self.scoring,
            models_dir=settings.models_dir,
            load=lambda folder: load_suggester(folder, cache_dir=settings.cache_dir, threads=settings.scoring_threads),
            poll_s=settings.registry_poll_s,
        )


def build_house(settings: Settings, suggester: SuggestsRulings | None = None) -> House:
    """Open the database, bring its schema up to date and wire the parts.

    Raises InputError on settings that don't go together, before anything is opened.
    """
    identity_provider, webhook_key = _identity_provider(settings), _webhook_key(settings)
    store = Store(settings.database_url, policy=settings.desk_policy)
    store.migrate()
    photos = PhotoStore(settings.photo_dir)
    scoring = Scoring(
        suggester,
        turns=settings.scoring_threads,
        wait_s=settings.scoring_wait_s,
        budget_s=settings.scoring_budget_s,
    )
    return House(
        settings=settings,
        store=store,
        photos=photos,
        photo_intake=PhotoIntake(photos, max_bytes=settings.max_photo_bytes),
        scoring=scoring,
        gatekeeper=Gatekeeper(
            store,
            session_hours=settings.session_hours,
            link_minutes=settings.link_minutes,
            attempts_allowed=settings.attempts_allowed,
            lock_minutes=settings.lock_minutes,
        ),
        backlogs=_backlogs(settings),
        inspector=Inspector(store, photos, reader=ScreenshotReader()),
        models=ModelDesk(
            settings.registry_uri if settings.registry_uri and settings.model_dir is None else None,
            store,
            scoring,
            models_dir=settings.models_dir,
            poll_s=settings.registry_poll_s,
        ),
        drift=DriftWatch(store.observations, reference_of=lambda version: _reference_of(version, settings)),
        identity_provider=identity_provider,
        sealer=Sealer(settings.privacy_key.get_secret_value()) if settings.privacy_key is not None else None,
        webhook_key=webhook_key,
    )


def _reference_of(model_version: str, settings: Settings) -> Reference | None:
    """Return the drift reference of a model that this service has scored with."""
    from models.drift_reference import reference_of_model
    from models.registry import SHIPPED_DIR

    fetched = sorted(settings.models_dir.glob("[!.]*/")) if settings.models_dir.is_dir() else []
    return reference_of_model(model_version, [settings.model_dir or SHIPPED_DIR, *fetched])


def _backlogs(settings: Settings) -> BacklogJobs:
    """The command of a job reads the same settings as this process, also those not set by environment variables."""
    shared = {
        "DATABASE_URL": settings.database_url,
        "PHOTO_DIR": str(settings.photo_dir.resolve()),
        "CACHE_DIR": str(settings.cache_dir.resolve()),
        "MAX_CASE_BYTES": str(settings.max_case_bytes),
        "REGISTRY_URI": settings.registry_uri,
        "MODELS_DIR": str(settings.models_dir.resolve()),
    }
    if settings.model_dir is not None:
        shared["MODEL_DIR"] = str(settings.model_dir.resolve())
    return BacklogJobs(
        settings.backlog_dir,
        processes=settings.backlog_processes,
        photos=settings.backlog_photos,
        environment={PREFIX + name: value for name, value in shared.items()},
    )


def _webhook_key(settings: Settings) -> bytes | None:
    """Raises InputError when a webhook is set and no secret, or one that can't be used."""
    if settings.webhook_url is None:
        return None
    if settings.webhook_secret is None:
        raise InputError("must be set too, to sign with", field="webhook_secret")
    return signing_key(settings.webhook_secret.get_secret_value())


def _identity_provider(settings: Settings) -> OidcProvider | None:
    """Raises InputError when an issuer is set and not what belongs to it."""
    if settings.oidc_issuer is None:
        return None
    if settings.oidc_client_id is None or settings.oidc_client_secret is None:
        raise InputError("needs oidc_client_id and oidc_client_secret too", field="oidc_issuer")
    return OidcProvider(
        settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        name_claim=settings.oidc_name_claim,
    )
