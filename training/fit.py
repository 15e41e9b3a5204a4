"""Fitting of everything that is shipped: chat, damage, listing match, rulings, and the manifest that pins them.

Each part is fitted with the same seed. Chat is fitted beside the two photo parts, each side on one thread; rulings come
last, for they learn from the scores of the other three. Knows the order and the folders, not how a part learns.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from models.encoders import ImageEncoder, PhotoFeatures, prepare_image_encoder
from models.registry import write_manifest
from training.config import TrainingConfig
from training.fit_chat import fit_chat
from training.fit_damage import fit_with_scores
from training.fit_listing import fit_listing
from training.fit_rulings import fit_rulings
from training.photo_errors import load_photo_errors
from training.side_by_side import Progress, run_side_by_side
from training.statement_pool import load_pool

PARTS = ("chat", "damage", "listing", "ruling")
Fitter = Callable[[TrainingConfig, Path, Progress], None]
_TELL_EVERY = 500
_SIDES = {"chat": ("chat",), "photos": ("damage", "listing")}


def fit_all(
    config: TrainingConfig,
    *,
    parts: tuple[str, ...] = PARTS,
    progress: Progress = print,
    fitters: Mapping[str, Fitter] | None = None,
) -> str:
    """Fit the named parts into `config.weights_dir`, the others kept as they are, and return the model version.

    Weights are written beside the old ones and moved into place at the end: a failure leaves the old model whole.
    fitters : how each part is fitted into a folder; the shipped recipes by default
    Raises JobFailedError when chat or a photo part can't be fitted, ReviewError when the rulings can't.
    """
    chosen = fitters or FITTERS
    config.weights_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=config.weights_dir.parent) as scratch:
        folder = Path(scratch) / "weights"
        shutil.copytree(config.weights_dir, folder)
        for part in parts:
            shutil.rmtree(folder / part, ignore_errors=True)
        sides = {
            name: _Side(config, folder, {part: chosen[part] for part in of_side if part in parts})
            for name, of_side in _SIDES.items()
        }
        run_side_by_side({name: side for name, side in sides.items() if side.fitters}, progress=progress)
        if "ruling" in parts:
            _Side(config, folder, {"ruling": chosen["ruling"]})(progress)
        version = write_manifest(folder, calibrated_on="simulated", trained_at=datetime.now(UTC))
        config.weights_dir.rename(Path(scratch) / "before")
        folder.rename(config.weights_dir)
    return version


@dataclass(frozen=True)
class _Side:
    """Parts fitted one after the other into `folder`."""

    config: TrainingConfig
    folder: Path
    fitters: dict[str, Fitter]

    def __call__(self, progress: Progress) -> None:
        for part, fitter in self.fitters.items():
            started = time.monotonic()
            progress(f"fitting {part} ...")
            fitter(self.config, self.folder, progress)
            progress(f"fitted {part} in {time.monotonic() - started:.0f} s")


def _fit_chat(config: TrainingConfig, folder: Path, progress: Progress) -> None:
    fit_chat(
        config.datasets_dir,
        data_dir=config.data_dir,
        cache_dir=config.cache_dir,
        seed=config.seed,
        threads=1,
        progress=progress,
    ).save(folder / "chat")


def _fit_damage(config: TrainingConfig, folder: Path, progress: Progress) -> None:
    encoder = _ToldEncoder(prepare_image_encoder(cache_dir=config.cache_dir), progress)
    fit_with_scores(config.data_dir, encoder=encoder, seed=config.seed, encoder_digest=encoder.digest).save(
        folder / "damage"
    )


def _fit_listing(config: TrainingConfig, folder: Path, progress: Progress) -> None:
    encoder = _ToldEncoder(prepare_image_encoder(cache_dir=config.cache_dir), progress)
    fit_listing(config.data_dir, encoder=encoder, seed=config.seed).save(folder / "listing")


class _ToldEncoder:
    """An image encoder that tells how many photos it has looked at."""

    def __init__(self, encoder: ImageEncoder, progress: Progress) -> None:
        self.encoder = encoder
        self.digest = encoder.digest
        self.progress = progress
        self.n_encoded = 0

    def encode(self, image: Image.Image, *, scale: float = 1.0) -> PhotoFeatures:
        """Return the features of an RGB photo."""
        self.n_encoded += 1
        if self.n_encoded % _TELL_EVERY == 0:
            self.progress(f"looked at {self.n_encoded} photos")
        return self.encoder.encode(image, scale=scale)


def _fit_ruling(config: TrainingConfig, folder: Path, progress: Progress) -> None:
    fit_rulings(
        pool=load_pool(folder / "chat" / "pool.json"), photo_errors=load_photo_errors(folder), seed=config.seed
    ).save(folder / "ruling")


FITTERS: dict[str, Fitter] = {
    "chat": _fit_chat,
    "damage": _fit_damage,
    "listing": _fit_listing,
    "ruling": _fit_ruling,
}
