"""Fitting of everything that is shipped: chat, damage, listing match, rulings, and the manifest that pins them.

Each part is fitted with the same seed. The two fits of chat and the photo parts run side by side, each on one thread;
rulings come last, for they learn from the scores of the other three. Knows the order and the folders, not how a part
learns.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from models.encoders import ImageEncoder, PhotoFeatures, prepare_image_encoder
from models.pretrained import PACKAGED
from models.registry import write_manifest
from training.chat_corpus import LabelledConversation, read_training_corpus
from training.config import TrainingConfig
from training.fit_chat import HeldOut, Whole, fit_held_out, fit_whole, join
from training.fit_damage import fit_with_scores
from training.fit_listing import fit_listing
from training.fit_rulings import fit_rulings
from training.photo_errors import load_photo_errors
from training.side_by_side import Progress, run_side_by_side
from training.statement_pool import load_pool
from training.tune_encoder import TuneSettings

PARTS = ("chat", "damage", "listing", "ruling")
Fitter = Callable[[TrainingConfig, Path, Progress], Any]
_CHAT_HELD_OUT = "chat, a fifth held out"
_STEPS = {"chat": ("chat", _CHAT_HELD_OUT), "damage": ("damage",), "listing": ("listing",)}
_SIDES = (("chat",), (_CHAT_HELD_OUT,), ("damage", "listing"))
_TELL_EVERY = 500


def fit_all(
    config: TrainingConfig,
    *,
    parts: tuple[str, ...] = PARTS,
    progress: Progress = print,
    fitters: Mapping[str, Fitter] | None = None,
) -> str:
    """Fit the named parts into `config.weights_dir`, the others kept as they are, and return the model version.

    Weights are written beside the old ones and moved into place at the end: a failure leaves the old model whole.
    fitters : how each step is fitted into a folder; the shipped recipes by default
    Raises JobFailedError when chat or a photo part can't be fitted, ReviewError when the rulings can't.
    """
    chosen = fitters or FITTERS
    config.weights_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=config.weights_dir.parent) as scratch:
        folder = Path(scratch) / "weights"
        shutil.copytree(config.weights_dir, folder)
        for part in parts:
            shutil.rmtree(folder / part, ignore_errors=True)
        steps = {step for part in parts for step in _STEPS.get(part, ())} & chosen.keys()
        sides = [_Side(config, folder, {step: chosen[step] for step in side if step in steps}) for side in _SIDES]
        found = run_side_by_side({side.name: side for side in sides if side.fitters}, progress=progress)
        fitted = {step: result for of_side in found.values() for step, result in of_side.items()}
        if _CHAT_HELD_OUT in fitted:
            _join_chat(config, folder, fitted["chat"], fitted[_CHAT_HELD_OUT])
        if "ruling" in parts:
            _Side(config, folder, {"ruling": chosen["ruling"]})(progress)
        version = write_manifest(folder, calibrated_on="simulated", trained_at=datetime.now(UTC))
        config.weights_dir.rename(Path(scratch) / "before")
        folder.rename(config.weights_dir)
    return version


@dataclass(frozen=True)
class _Side:
    """Steps taken one after the other into `folder`."""

    config: TrainingConfig
    folder: Path
    fitters: dict[str, Fitter]

    @property
    def name(self) -> str:
        return " and ".join(self.fitters)

    def __call__(self, progress: Progress) -> dict[str, Any]:
        """Return what each fitter returned, by step."""
        found = {}
        for step, fitter in self.fitters.items():
            started = time.monotonic()
            progress(f"fitting {step} ...")
            found[step] = fitter(self.config, self.folder, progress)
            progress(f"fitted {step} in {time.monotonic() - started:.0f} s")
        return found


def _fit_chat(config: TrainingConfig, folder: Path, progress: Progress) -> Whole:
    return fit_whole(_corpus(config), source=PACKAGED, settings=_tuning(config), threads=1, progress=progress)


def _fit_chat_held_out(config: TrainingConfig, folder: Path, progress: Progress) -> HeldOut:
    return fit_held_out(_corpus(config), source=PACKAGED, settings=_tuning(config), threads=1, progress=progress)


def _join_chat(config: TrainingConfig, folder: Path, whole: Whole, held_out: HeldOut) -> None:
    join(whole, held_out, cache_dir=config.cache_dir, threads=1).save(folder / "chat")


def _corpus(config: TrainingConfig) -> list[LabelledConversation]:
    return read_training_corpus(config.datasets_dir, data_dir=config.data_dir)


def _tuning(config: TrainingConfig) -> TuneSettings:
    return TuneSettings(seed=config.seed)


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
    _CHAT_HELD_OUT: _fit_chat_held_out,
    "damage": _fit_damage,
    "listing": _fit_listing,
    "ruling": _fit_ruling,
}
