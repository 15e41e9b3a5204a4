"""Saving, loading and naming of a whole Suggester: weights with pinned digests, nothing that runs code.

A model folder holds safetensors, JSON and a manifest with the sha256 of every file; a file that is missing,
altered or not in the manifest is refused. `ModelRegistry` keeps such folders in MLflow and says which one is the
champion, who made it so, and which one it replaced. Knows nothing of how the models were fitted.
"""

import hashlib
import json
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, Field, ValidationError

from models.chat import ChatClassifier
from models.domain import Frozen
from models.encoders import prepare_image_encoder
from models.errors import PromotionRefusedError, RefusedBecause, RegistryError, WeightsError
from models.listing import ListingMatcher
from models.mlflow_server import asking, mlflow_client, sqlite_file
from models.photo import DamageClassifier
from models.rule_pack import RuleBook, shipped_rule_book
from models.ruling import RulingClassifier
from models.scorer import EvidenceScorer
from models.suggester import CalibratedOn, Suggester

SHIPPED_DIR = Path(__file__).parent / "weights"
MODEL_NAME = "ruling"
Alias = Literal["champion", "challenger"]
_MANIFEST = "manifest.json"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_ALLOWED = (".safetensors", ".json")


class Manifest(Frozen):
    """What a model folder holds.

    files : sha256 by path relative to the folder
    learned : by part (chat, damage, listing, ruling), what it learned of people and from how many of their labels
    """

    model_version: str = Field(min_length=1)
    calibrated_on: CalibratedOn
    trained_at: AwareDatetime
    files: dict[str, str] = Field(min_length=1)
    learned: dict[str, dict[str, int]] = Field(default_factory=dict)


def load_suggester(
    directory: Path | None = None, *, cache_dir: Path, threads: int = 1, rule_book: RuleBook | None = None
) -> Suggester:
    """Return the Suggester kept in `directory`, by default the shipped one.

    cache_dir : where prepared encoders are kept; threads : photos looked at a time
    Raises WeightsError when a file is missing, altered, of a foreign kind or unlisted, or when photo weights were
    fitted on another image encoder.
    """
    folder = directory or SHIPPED_DIR
    manifest = verified_manifest(folder)
    damage, listing = DamageClassifier.load(folder / "damage"), ListingMatcher.load(folder / "listing")
    image_encoder = prepare_image_encoder(cache_dir=cache_dir)
    for name, head in (("damage", damage), ("listing", listing)):
        if head.encoder_digest not in (None, image_encoder.digest):
            raise WeightsError(f"the {name} weights were fitted on another image encoder")
    scorer = EvidenceScorer(
        chat=ChatClassifier.load(folder / "chat", cache_dir=cache_dir, int8=True),
        damage=damage,
        listing=listing,
        image_encoder=image_encoder,
        threads=threads,
    )
    return Suggester(
        scorer=scorer,
        ruling=RulingClassifier.load(folder / "ruling"),
        rule_book=rule_book or shipped_rule_book(),
        model_version=manifest.model_version,
        calibrated_on=manifest.calibrated_on,
    )


def write_manifest(
    directory: Path,
    *,
    calibrated_on: CalibratedOn,
    trained_at: datetime,
    learned: Mapping[str, dict[str, int]] | None = None,
) -> str:
    """Pin every file of a model folder and return the model version, "ruling/" and eight digits of their digest."""
    files = {
        str(path.relative_to(directory)): _sha256(path) for path in _model_files(directory) if path.name != _MANIFEST
    }
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    version = f"ruling/{digest[:8]}"
    manifest = Manifest(
        model_version=version,
        calibrated_on=calibrated_on,
        trained_at=trained_at,
        files=files,
        learned=dict(learned or {}),
    )
    content = json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True)
    (directory / _MANIFEST).write_text(content + "\n", encoding="utf-8")
    return version


def verified_manifest(directory: Path) -> Manifest:
    """Return the manifest after checking every file against it. Raises WeightsError at the first difference."""
    try:
        manifest = Manifest.model_validate_json((directory / _MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise WeightsError(f"{directory / _MANIFEST} can't be read: {error}") from error
    pinned = manifest.files
    found = {str(path.relative_to(directory)): path for path in _model_files(directory) if path.name != _MANIFEST}
    if set(found) != set(pinned):
        differing = sorted(set(found) ^ set(pinned))
        raise WeightsError(f"{directory} and its manifest differ in {', '.join(differing)}")
    for name, path in found.items():
        if path.suffix not in _ALLOWED:
            raise WeightsError(f"{name} is of a kind that is never loaded")
        if _sha256(path) != pinned[name]:
            raise WeightsError(f"{name} is not the file that was pinned: its sha256 differs")
    return manifest


def _model_files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file() and not path.name.startswith("."))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class RegisteredModel(Frozen):
    """A model folder in the registry.

    number : the registry's own count, from 1
    manifest_sha256 : of the folder's manifest, which pins every other file
    gate_passed_against : number of the champion that this model was judged against and may replace
    """

    number: int
    model_version: str
    manifest_sha256: str
    source: str
    run_id: str | None = None
    gate_passed_against: int | None = None
    registered_at: AwareDatetime | None = None


class Promotion(Frozen):
    """One move of the champion's name, and who made it."""

    at: AwareDatetime
    by: str = Field(min_length=1)
    action: Literal["promote", "rollback"]
    from_number: int | None
    to_number: int
    reason: str = ""


class ModelRegistry:
    """Models by number in an MLflow registry, with the aliases champion and challenger.

    uri : MLflow tracking address; a SQLite file that isn't there yet is an empty registry
    Every method raises RegistryError when the registry doesn't answer.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def named(self, alias: Alias) -> RegisteredModel | None:
        """Return the model that bears the alias, None where none does."""
        if not self._exists():
            return None
        with asking(self.uri):
            aliases = _registered(mlflow_client(self.uri)).get("aliases", {})
        return self.numbered(int(aliases[alias])) if alias in aliases else None

    def numbered(self, number: int) -> RegisteredModel:
        with asking(self.uri):
            return _model_of(mlflow_client(self.uri).get_model_version(MODEL_NAME, str(number)))

    def all(self) -> list[RegisteredModel]:
        """Return every model, the newest first; versions that weren't registered here are left out."""
        if not self._exists():
            return []
        with asking(self.uri):
            found = mlflow_client(self.uri).search_model_versions(f"name='{MODEL_NAME}'")
            ours = [_model_of(version) for version in found if _is_ours(version)]
            return sorted(ours, key=lambda model: -model.number)

    def register(self, folder: Path, *, run_id: str, gate_passed_against: int | None = None) -> RegisteredModel:
        """Keep a model folder with the run that made it. Raises WeightsError when the folder is not whole."""
        manifest = verified_manifest(folder)
        tags = {"model_version": manifest.model_version, "manifest_sha256": _sha256(folder / _MANIFEST)}
        if gate_passed_against is not None:
            tags["gate_passed_against"] = str(gate_passed_against)
        with asking(self.uri):
            client = mlflow_client(self.uri)
            client.log_artifacts(run_id, str(folder), "model")
            if not _registered(client):
                client.create_registered_model(MODEL_NAME)
            source = f"{client.get_run(run_id).info.artifact_uri}/model"
            number = int(client.create_model_version(MODEL_NAME, source, run_id, tags=tags).version)
        return self.numbered(number)

    def set_challenger(self, number: int | None) -> None:
        """Name the model that is to score beside the champion, or none."""
        with asking(self.uri):
            client = mlflow_client(self.uri)
            if number is None:
                client.delete_registered_model_alias(MODEL_NAME, "challenger")
            else:
                client.set_registered_model_alias(MODEL_NAME, "challenger", str(number))

    def crown_first(self, number: int, *, by: str) -> Promotion:
        """Make a model the champion of a registry that has none yet. Raises RegistryError when there is one."""
        if self.named("champion") is not None:
            raise RegistryError("there is a champion already")
        return self._move("promote", None, number, by=by, reason="first champion")

    def promote(
        self, number: int, *, by: str, reason: str = "", note: Callable[[Promotion], None] = lambda _: None
    ) -> Promotion:
        """Make a model the champion. Raises PromotionRefusedError unless the gate passed it against the present one.

        note : told of the move before it is made
        """
        model, champion = self.numbered(number), self.named("champion")
        now = champion.number if champion else None
        against = model.gate_passed_against
        if now == number:
            why: RefusedBecause = "champion_already"
            said = f"model {number} is the champion already"
        elif against is None:
            why, said = "not_passed", f"model {number} didn't pass the gate"
        elif against != now:
            why = "judged_against_another"
            said = f"model {number} was judged against model {against}, but the champion is now {now}: "
            said += "retrain and judge again"
        else:
            return self._move("promote", now, number, by=by, reason=reason, note=note)
        raise PromotionRefusedError(said, why=why, model=number, champion=now, judged_against=against or 0)

    def rollback(self, *, by: str, reason: str = "", note: Callable[[Promotion], None] = lambda _: None) -> Promotion:
        """Make the champion before this one champion again. Raises PromotionRefusedError when there was none.

        note : told of the move before it is made
        """
        past: list[int] = []
        for entry in self.promotions():
            if entry.action == "promote":
                past.append(entry.to_number)
            else:
                past.pop()
        if len(past) < 2:
            champion = past[-1] if past else None
            raise PromotionRefusedError(
                "there is no earlier champion to go back to", why="no_earlier_champion", model=None, champion=champion
            )
        return self._move("rollback", past[-1], past[-2], by=by, reason=reason, note=note)

    def promotions(self) -> list[Promotion]:
        """Return every move of the champion's name, oldest first."""
        if not self._exists():
            return []
        with asking(self.uri):
            tags = _registered(mlflow_client(self.uri)).get("tags", {})
            return [Promotion.model_validate_json(tags[key]) for key in sorted(tags) if key.startswith("promotion.")]

    def _move(
        self,
        action: Literal["promote", "rollback"],
        old: int | None,
        new: int,
        *,
        by: str,
        reason: str,
        note: Callable[[Promotion], None] = lambda _: None,
    ) -> Promotion:
        """Log before moving: a champion that nobody answers for is worse than an entry that came to nothing."""
        entry = Promotion(at=datetime.now(UTC), by=by, action=action, from_number=old, to_number=new, reason=reason)
        note(entry)
        with asking(self.uri):
            client = mlflow_client(self.uri)
            key = f"promotion.{entry.at:%Y%m%dT%H%M%S.%f}.{uuid.uuid4().hex[:6]}"
            client.set_registered_model_tag(MODEL_NAME, key, entry.model_dump_json())
            client.set_registered_model_alias(MODEL_NAME, "champion", str(new))
            if str(_registered(client)["aliases"].get("challenger")) == str(new):
                client.delete_registered_model_alias(MODEL_NAME, "challenger")
        return entry

    def fetch(self, model: RegisteredModel, directory: Path) -> Path:
        """Return the model's folder under `directory`, downloaded if need be, every file checked.

        Raises WeightsError when it is not what was registered.
        """
        target = directory / model.manifest_sha256[:16]
        if not target.exists():
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=directory, prefix=".new-") as scratch:
                got = self._download(model.source, Path(scratch))
                _check(got, model)
                got.rename(target)
        try:
            _check(target, model)
        except WeightsError:
            shutil.rmtree(target, ignore_errors=True)
            raise
        return target

    def artifact(self, model: RegisteredModel, name: str) -> bytes | None:
        """Return a file that the run kept beside the model, such as its report; None where there is none."""
        if model.run_id is None:
            return None
        with tempfile.TemporaryDirectory() as scratch:
            try:
                return self._download(model.source.removesuffix("/model") + f"/{name}", Path(scratch)).read_bytes()
            except (RegistryError, OSError):
                return None

    def _download(self, source: str, scratch: Path) -> Path:
        with asking(self.uri):
            mlflow_client(self.uri)
            from mlflow.artifacts import download_artifacts

            return Path(download_artifacts(artifact_uri=source, dst_path=str(scratch), tracking_uri=self.uri))

    def _exists(self) -> bool:
        path = sqlite_file(self.uri)
        return path is None or path.exists()


def _is_ours(found: Any) -> bool:
    """Tell whether a version's tags are such as `register` writes: a digest that is none would be taken for a path."""
    digest, against = found.tags.get("manifest_sha256", ""), found.tags.get("gate_passed_against", "0")
    return bool(found.tags.get("model_version") and _DIGEST.fullmatch(digest) and _NUMBER.fullmatch(against))


def _model_of(found: Any) -> RegisteredModel:
    if not _is_ours(found):
        raise RegistryError(f"version {found.version} of the registry wasn't registered by this program")
    tags = found.tags
    against = tags.get("gate_passed_against")
    return RegisteredModel(
        number=int(found.version),
        model_version=tags["model_version"],
        manifest_sha256=tags["manifest_sha256"],
        source=found.source,
        run_id=found.run_id or None,
        gate_passed_against=int(against) if against else None,
        registered_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
    )


def _registered(client: Any) -> Mapping[str, Any]:
    """Return aliases and tags of the registered model, nothing where there is none yet."""
    found = client.search_registered_models(filter_string=f"name='{MODEL_NAME}'")
    return {"aliases": found[0].aliases, "tags": found[0].tags} if found else {}


def _check(folder: Path, model: RegisteredModel) -> None:
    path = folder / _MANIFEST
    if not path.is_file() or _sha256(path) != model.manifest_sha256:
        raise WeightsError(f"model {model.number} is not the one that was registered: its manifest differs")
    verified_manifest(folder)
