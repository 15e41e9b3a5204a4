"""The champion, kept up with: when the registry names another one, it is fetched, tried and put to work.

The model at work stays until the new one has loaded and repeated its golden cases; requests under way finish on it.
Knows nothing of HTTP.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from models.errors import RegistryError, ReviewError
from serving.audit import Action
from serving.loop import Loop
from serving.model_trial import RefusedModels, tried
from serving.scoring import Scoring
from serving.settings import Settings
from serving.store import Store

if TYPE_CHECKING:
    from models.registry import ModelRegistry, RegisteredModel
    from models.suggester import Suggester

_LAST = "last-champion.json"
log = structlog.get_logger(__name__)


class ChampionKeeper(Loop):
    """load : turns a model folder into a Suggester; models_dir : of fetched models; poll_s : pause between looks"""

    def __init__(
        self,
        registry: "ModelRegistry",
        store: Store,
        scoring: Scoring,
        *,
        models_dir: Path,
        load: "Callable[[Path], Suggester]",
        poll_s: float,
    ) -> None:
        super().__init__(name="champion", pause_s=poll_s)
        self.registry = registry
        self.store = store
        self.scoring = scoring
        self.models_dir = models_dir
        self.load = load
        self.refused = RefusedModels()

    def work_once(self) -> bool:
        try:
            self.look()
        except ReviewError as error:
            log.warning("registry_away", problem=str(error))
        return False

    def look(self) -> bool:
        """Take up the champion if it isn't at work; return whether the model changed.

        A model that can't be loaded or doesn't repeat its golden cases is refused, once, on the record; one that fails
        for reasons that may pass is tried again. Raises RegistryError when the registry doesn't answer: the model at
        work stays.
        """
        champion = self.registry.named("champion")
        if champion is None or champion.number in self.refused:
            return False
        if champion.model_version == self.scoring.model_version:
            return False
        before = self.scoring.model_version
        try:
            folder = self.registry.fetch(champion, self.models_dir)
            suggester = tried(self.load, folder)
        except RegistryError:
            raise
        except ReviewError as error:
            if not self.refused.failed(champion.number, error):
                log.warning("champion_failed", number=champion.number, problem=str(error))
                return False
            log.error("champion_refused", number=champion.number, problem=str(error))
            self._note(Action.MODEL_REFUSED, champion, problem=str(error)[:300], kept=before)
            return False
        self.refused.worked(champion.number)
        self.scoring.replace(suggester)
        remember(self.models_dir, folder)
        log.info("champion_taken_up", number=champion.number, model_version=champion.model_version, before=before)
        self._note(Action.MODEL_TAKEN_UP, champion, before=before)
        return True

    def _note(self, action: Action, champion: "RegisteredModel", **detail: str | None) -> None:
        """Say on the record who promoted what is taken up or refused."""
        moves = [entry for entry in self.registry.promotions() if entry.to_number == champion.number]
        if moves:
            detail |= {"promoted_by": moves[-1].by, "promoted_at": moves[-1].at.isoformat(), "move": moves[-1].action}
        self.store.note(
            action,
            actor="system:champion",
            subject=f"model:{champion.number}",
            detail={"model_version": champion.model_version, "manifest_sha256": champion.manifest_sha256, **detail},
        )


def remember(models_dir: Path, folder: Path) -> None:
    """Note the model at work, for a start without the registry."""
    draft = models_dir / f".{_LAST}"
    draft.write_text(json.dumps({"folder": folder.name}), encoding="utf-8")
    draft.replace(models_dir / _LAST)


def folder_to_start_with(registry: "ModelRegistry", models_dir: Path) -> Path | None:
    """Return the champion's folder, fetched; without the registry, the last one's at work; None where there is neither.

    None means the shipped weights.
    """
    try:
        champion = registry.named("champion")
        return registry.fetch(champion, models_dir) if champion is not None else None
    except ReviewError as error:
        log.warning("champion_not_fetched", problem=str(error))
    try:
        last = models_dir / Path(json.loads((models_dir / _LAST).read_text(encoding="utf-8"))["folder"]).name
    except (OSError, ValueError, KeyError):
        return None
    return last if last.is_dir() else None


def model_folder(settings: Settings) -> Path | None:
    """Return the folder of the model to score with: the one set, else the champion's, else None for the shipped one."""
    if settings.model_dir is not None or not settings.registry_uri:
        return settings.model_dir
    from models.registry import ModelRegistry

    return folder_to_start_with(ModelRegistry(settings.registry_uri), settings.models_dir)
