"""Fitting of everything that is shipped: chat, damage, listing match, rulings, and the manifest that pins them.

Each part is fitted with the same seed; the order matters, for rulings learn from the scores of the other three. Knows
the order and the folders, not how a part learns.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from models.encoders import prepare_image_encoder
from models.registry import write_manifest
from training.config import TrainingConfig
from training.fit_chat import fit_chat
from training.fit_damage import fit_with_scores
from training.fit_listing import fit_listing
from training.fit_rulings import fit_rulings
from training.photo_errors import load_photo_errors
from training.statement_pool import load_pool

PARTS = ("chat", "damage", "listing", "ruling")
Progress = Callable[[str], None]


def fit_all(config: TrainingConfig, *, parts: tuple[str, ...] = PARTS, progress: Progress = print) -> str:
    """Fit the named parts into `config.weights_dir`, the others kept as they are, and return the model version.

    Weights are written beside the old ones and moved into place at the end: a failure leaves the old model whole.
    """
    config.weights_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=config.weights_dir.parent) as scratch:
        folder = Path(scratch) / "weights"
        shutil.copytree(config.weights_dir, folder)
        for part in parts:
            started = time.monotonic()
            progress(f"fitting {part} ...")
            shutil.rmtree(folder / part, ignore_errors=True)
            _FITTERS[part](config, folder)
            progress(f"fitted {part} in {time.monotonic() - started:.0f} s")
        version = write_manifest(folder, calibrated_on="simulated", trained_at=datetime.now(UTC))
        shutil.rmtree(config.weights_dir)
        shutil.move(folder, config.weights_dir)
    return version


def _fit_chat(config: TrainingConfig, folder: Path) -> None:
    fit_chat(config.datasets_dir, data_dir=config.data_dir, cache_dir=config.cache_dir, seed=config.seed).save(
        folder / "chat"
    )


def _fit_damage(config: TrainingConfig, folder: Path) -> None:
    encoder = prepare_image_encoder(cache_dir=config.cache_dir)
    fit_with_scores(config.data_dir, encoder=encoder, seed=config.seed, encoder_digest=encoder.digest).save(
        folder / "damage"
    )


def _fit_listing(config: TrainingConfig, folder: Path) -> None:
    encoder = prepare_image_encoder(cache_dir=config.cache_dir)
    fit_listing(config.data_dir, encoder=encoder, seed=config.seed).save(folder / "listing")


def _fit_ruling(config: TrainingConfig, folder: Path) -> None:
    fit_rulings(
        pool=load_pool(folder / "chat" / "pool.json"), photo_errors=load_photo_errors(folder), seed=config.seed
    ).save(folder / "ruling")


_FITTERS: dict[str, Callable[[TrainingConfig, Path], None]] = {
    "chat": _fit_chat,
    "damage": _fit_damage,
    "listing": _fit_listing,
    "ruling": _fit_ruling,
}
