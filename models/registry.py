"""Saving and loading of a whole Suggester: weights with pinned digests, nothing that runs code.

A model folder holds safetensors, JSON and a manifest with the sha256 of every file; a file that is missing,
altered or not in the manifest is refused. Knows nothing of how the models were fitted.
"""

import hashlib
import json
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, Field, ValidationError

from models.chat import ChatClassifier
from models.domain import Frozen
from models.encoders import prepare_image_encoder
from models.errors import WeightsError
from models.listing import ListingMatcher
from models.photo import DamageClassifier
from models.rule_pack import RuleBook, shipped_rule_book
from models.ruling import RulingClassifier
from models.scorer import EvidenceScorer
from models.suggester import CalibratedOn, Suggester

SHIPPED_DIR = Path(__file__).parent / "weights"
_MANIFEST = "manifest.json"
_ALLOWED = (".safetensors", ".json")


class Manifest(Frozen):
    """What a model folder holds. files : sha256 by path relative to the folder"""

    model_version: str = Field(min_length=1)
    calibrated_on: CalibratedOn
    trained_at: AwareDatetime
    files: dict[str, str] = Field(min_length=1)


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
        chat=ChatClassifier.load(folder / "chat", cache_dir=cache_dir),
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


def write_manifest(directory: Path, *, calibrated_on: CalibratedOn, trained_at: datetime) -> str:
    """Pin every file of a model folder and return the model version, "ruling/" and eight digits of their digest."""
    files = {
        str(path.relative_to(directory)): _sha256(path) for path in _model_files(directory) if path.name != _MANIFEST
    }
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    version = f"ruling/{digest[:8]}"
    manifest = Manifest(model_version=version, calibrated_on=calibrated_on, trained_at=trained_at, files=files)
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
