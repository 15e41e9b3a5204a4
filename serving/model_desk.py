"""The lead's hand on the registry: what models there are, what the gate said, promoting and rolling back on the record.

Moves are made one at a time and only from the champion that was on screen. The service takes the new champion up by
itself (`serving.champion`). Knows nothing of HTTP.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from models.errors import RegistryError
from models.privacy import mask
from serving.audit import Action
from serving.comparison import compare
from serving.model_records import (
    GateVerdict,
    ModelMove,
    ModelRow,
    ModelsView,
    PromotionDraft,
    Report,
    RollbackDraft,
    ShadowComparison,
)
from serving.records import User
from serving.refusals import ChampionMovedError, UnknownError
from serving.scoring import Scoring
from serving.store import Store

if TYPE_CHECKING:
    from models.registry import ModelRegistry, Promotion, RegisteredModel

_ACTIONS = {"promote": Action.MODEL_PROMOTED, "rollback": Action.MODEL_ROLLED_BACK}
_REPORT, _REPORT_PAGE = "report.json", "report.html"


class ModelDesk:
    """registry_uri : None where this service scores with a fixed model and no registry counts

    models_dir : holds the lock of the moves; poll_s : pause between the service's looks at the registry
    """

    def __init__(
        self, registry_uri: str | None, store: Store, scoring: Scoring, *, models_dir: Path, poll_s: float
    ) -> None:
        self.registry_uri = registry_uri
        self.store = store
        self.scoring = scoring
        self.models_dir = models_dir
        self.poll_s = poll_s
        self._verdicts: dict[int, GateVerdict] = {}

    def view(self) -> ModelsView:
        """Raises RegistryError."""
        registry = self._registry()
        models = {model.number: model for model in registry.all()}
        champion, challenger = registry.named("champion"), registry.named("challenger")
        now = champion.number if champion else None
        standing = {now: "champion", challenger.number if challenger else None: "challenger"}
        return ModelsView(
            at_work=self.scoring.model_version,
            champion=now,
            challenger=challenger.number if challenger else None,
            taken_up_within_s=self.poll_s,
            refused=self._refused(champion) if champion else None,
            models=tuple(
                ModelRow(
                    number=number,
                    model_version=model.model_version,
                    registered_at=model.registered_at,
                    standing=standing.get(number),
                    judged_against=model.gate_passed_against,
                    gate=self._verdict(registry, model),
                    may_be_promoted=now is not None and model.gate_passed_against == now != number,
                )
                for number, model in models.items()
            ),
            moves=tuple(ModelMove(**entry.model_dump()) for entry in reversed(registry.promotions())),
        )

    def promote(self, number: int, draft: PromotionDraft, *, by: User) -> ModelMove:
        """Make a model that passed the gate the champion.

        Raises UnknownError, ChampionMovedError, PromotionRefusedError, RegistryError.
        """
        registry = self._registry()
        self._known(registry, number)
        with self._one_at_a_time(registry, draft.instead_of):
            moved = registry.promote(number, by=by.name, reason=draft.reason, note=self._note)
        return ModelMove(**moved.model_dump())

    def roll_back(self, draft: RollbackDraft, *, by: User) -> ModelMove:
        """Make the champion before this one champion again.

        Raises ChampionMovedError, PromotionRefusedError, RegistryError.
        """
        registry = self._registry()
        with self._one_at_a_time(registry, draft.instead_of):
            moved = registry.rollback(by=by.name, reason=draft.reason, note=self._note)
        return ModelMove(**moved.model_dump())

    def shadow(self) -> ShadowComparison:
        """Return how the challenger does in shadow. Raises RegistryError."""
        challenger = self._registry().named("challenger")
        version = challenger.model_version if challenger is not None else None
        at_work, shadows = self.scoring.model_version, self.store.shadows
        return compare(
            shadows.pairs(version, champion_version=at_work) if version is not None else [],
            state=shadows.state(),
            champion=at_work,
            challenger=version,
            refused=self._last_problem(challenger, Action.SHADOW_REFUSED) if challenger is not None else None,
            n_failed=shadows.n_failed(challenger.number) if challenger is not None else 0,
        )

    def report(self, number: int) -> Report:
        """Return the gate's figures. Raises UnknownError where there are none, RegistryError."""
        try:
            report = json.loads(self._artifact(number, _REPORT))
        except ValueError as error:
            raise UnknownError("gate report of model", str(number)) from error
        if not isinstance(report, dict):
            raise UnknownError("gate report of model", str(number))
        return report

    def report_page(self, number: int) -> bytes:
        """Return the gate's report as one HTML page. Raises UnknownError where there is none, RegistryError."""
        return self._artifact(number, _REPORT_PAGE)

    def _artifact(self, number: int, name: str) -> bytes:
        registry = self._registry()
        data = registry.artifact(self._known(registry, number), name)
        if data is None:
            raise UnknownError("gate report of model", str(number))
        return data

    def _registry(self) -> "ModelRegistry":
        if self.registry_uri is None:
            raise RegistryError("this service scores with a fixed model (model_dir, or no registry_uri)")
        from models.registry import ModelRegistry

        return ModelRegistry(self.registry_uri)

    def _known(self, registry: "ModelRegistry", number: int) -> "RegisteredModel":
        for model in registry.all():
            if model.number == number:
                return model
        raise UnknownError("model", str(number))

    def _verdict(self, registry: "ModelRegistry", model: "RegisteredModel") -> GateVerdict | None:
        """Return what the run's report says; a report never changes, so it is read once."""
        if model.number not in self._verdicts:
            data = registry.artifact(model, _REPORT)
            try:
                found = GateVerdict.model_validate(json.loads(data)["verdict"]) if data is not None else None
            except (ValueError, KeyError, TypeError, ValidationError):
                found = None
            if found is None:
                return None
            self._verdicts[model.number] = found
        return self._verdicts[model.number]

    def _refused(self, champion: "RegisteredModel") -> str | None:
        """Return why the service didn't take the champion up, None where it did or hasn't tried."""
        if champion.model_version == self.scoring.model_version:
            return None
        return self._last_problem(champion, Action.MODEL_REFUSED)

    def _last_problem(self, model: "RegisteredModel", refusal: Action) -> str | None:
        """Return why the model was refused, None where it was taken up since or never refused."""
        entries = self.store.audit_trail(subject=f"model:{model.number}")
        told = [entry for entry in entries if entry.action in (refusal, Action.MODEL_TAKEN_UP)]
        return str(told[-1].detail.get("problem")) if told and told[-1].action == refusal else None

    def _note(self, move: "Promotion") -> None:
        """Enter a move before it is made: a champion that nobody answers for is worse than one that didn't come."""
        self.store.note(
            _ACTIONS[move.action],
            actor=move.by,
            subject=f"model:{move.to_number}",
            detail={"from_number": move.from_number, "reason": mask(move.reason)},
        )

    @contextmanager
    def _one_at_a_time(self, registry: "ModelRegistry", seen: int | None) -> Iterator[None]:
        """Hold the lock of this machine's moves while the champion is still the one seen."""
        self.models_dir.mkdir(parents=True, exist_ok=True)
        with (self.models_dir / ".moves.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            champion = registry.named("champion")
            now = champion.number if champion else None
            if now != seen:
                raise ChampionMovedError(seen=seen, now=now)
            yield
