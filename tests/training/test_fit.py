"""Fitting everything: parts side by side into a folder of their own, moved into place only when all are fitted."""

import shutil
from pathlib import Path

import pytest

from models.chat import Utterance
from models.errors import ModelError
from models.registry import SHIPPED_DIR, verified_manifest
from models.vocabulary import LABELS_OF_SPEAKER, Speaker, StatementLabel
from tests.listing_goods import TinyEncoder, write_goods
from tests.tiny_encoder import save_tiny_encoder
from training.chat_corpus import LabelledConversation
from training.config import TrainingConfig
from training.fit import fit_all
from training.fit_chat import HeldOut, Whole, fit_held_out, fit_whole
from training.fit_listing import fit_listing
from training.fit_rulings import fit_rulings
from training.listing_head import HeadSettings
from training.photo_errors import load_photo_errors
from training.side_by_side import JobFailedError, Progress
from training.statement_pool import load_pool
from training.tune_encoder import TuneSettings

KNOWN = LABELS_OF_SPEAKER[Speaker.BUYER]


def _corpus() -> list[LabelledConversation]:
    sayings = {StatementLabel.CLAIMS_DAMAGE: "碎了", StatementLabel.CLAIMS_COUNTERFEIT: "假货"}
    return [
        LabelledConversation(
            conversation_id=f"d{number}",
            group=f"goods:{number}",
            source="dialogue",
            language="zh",
            utterances=(Utterance("m1", Speaker.BUYER, f"{saying} {'abcdefgh'[number % 8]}"),),
            labels=(frozenset({label}),),
            known=(frozenset(KNOWN),),
        )
        for number in range(20)
        for label, saying in sayings.items()
    ]


def _fit_small_chat(config: TrainingConfig, folder: Path, progress: Progress) -> Whole:
    source, settings = str(config.data_dir / "encoder"), _small(config)
    return fit_whole(_corpus(), source=source, settings=settings, threads=1, progress=progress)


def _fit_small_held_out(config: TrainingConfig, folder: Path, progress: Progress) -> HeldOut:
    source, settings = str(config.data_dir / "encoder"), _small(config)
    return fit_held_out(_corpus(), source=source, settings=settings, threads=1, progress=progress)


def _small(config: TrainingConfig) -> TuneSettings:
    return TuneSettings(layers=1, rank=2, epochs=1, batch=8, seed=config.seed)


def _fit_small_listing(config: TrainingConfig, folder: Path, progress: Progress) -> None:
    settings = HeadSettings(n_codes=16, n_colour_codes=8, epochs=1, batch_size=16)
    fit_listing(config.data_dir, encoder=TinyEncoder(), seed=config.seed, settings=settings, n_heads=1, n_folds=2).save(
        folder / "listing"
    )


def _fail(config: TrainingConfig, folder: Path, progress: Progress) -> None:
    raise ModelError("no photo to learn from")


def _fit_small_ruling(config: TrainingConfig, folder: Path, progress: Progress) -> None:
    pool = load_pool(SHIPPED_DIR / "chat" / "pool.json")
    fit_rulings(
        pool=pool, photo_errors=load_photo_errors(folder), seed=config.seed, n_train=100, n_calibration=60
    ).save(folder / "ruling")


FITTERS = {
    "chat": _fit_small_chat,
    "chat, a fifth held out": _fit_small_held_out,
    "listing": _fit_small_listing,
    "ruling": _fit_small_ruling,
}


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    data_dir = write_goods(tmp_path / "data", photos_each=2)
    save_tiny_encoder(data_dir / "encoder")
    shutil.copytree(SHIPPED_DIR, tmp_path / "model" / "weights")
    return TrainingConfig(data_dir, tmp_path / "model" / "weights", tmp_path / "cache")


def test_named_parts_are_fitted_side_by_side_then_rulings_and_the_others_kept(config: TrainingConfig) -> None:
    before = verified_manifest(config.weights_dir)
    lines: list[str] = []
    version = fit_all(config, parts=("chat", "listing", "ruling"), progress=lines.append, fitters=FITTERS)
    after = verified_manifest(config.weights_dir)
    assert after.model_version == version != before.model_version
    changed = {name.split("/")[0] for name, digest in after.files.items() if before.files.get(name) != digest}
    assert changed == {"chat", "listing", "ruling"}
    first_of_rulings = lines.index("fitting ruling ...")
    said = ("chat", "chat, a fifth held out", "listing")
    assert {f"{step}: fitting {step} ..." for step in said} <= set(lines[:first_of_rulings])
    assert [path.name for path in config.weights_dir.parent.iterdir()] == ["weights"]


def test_a_part_that_fails_leaves_the_old_model_whole(config: TrainingConfig) -> None:
    before = verified_manifest(config.weights_dir)
    with pytest.raises(JobFailedError, match="damage failed: no photo to learn from"):
        fit_all(config, parts=("damage", "ruling"), progress=lambda line: None, fitters={**FITTERS, "damage": _fail})
    assert verified_manifest(config.weights_dir) == before
    assert [path.name for path in config.weights_dir.parent.iterdir()] == ["weights"]
