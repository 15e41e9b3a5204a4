"""Every part of the reading learns from corrections by itself; what learned nothing stays and is not written."""

import copy
import json
from pathlib import Path

import pytest

from models.chat import ChatClassifier
from models.encoders import default_cache_dir, prepare_image_encoder
from models.listing import ListingMatcher
from models.photo import DamageClassifier
from models.registry import SHIPPED_DIR
from models.scorer import EvidenceScorer
from models.suggester import Suggester
from tests.suggesters import build_suggester
from tests.training.corrected_chats import DAMAGE, corrected_cases, decided, reference
from training.config import DATASETS_DIR
from training.readings import ReadersLabels, Readings, refit_readings, sample_labels


@pytest.fixture(scope="module")
def champion(deaf: ChatClassifier) -> Suggester:
    suggester = copy.copy(build_suggester())
    suggester.scorer = EvidenceScorer(
        chat=deaf,
        damage=DamageClassifier.load(SHIPPED_DIR / "damage"),
        listing=ListingMatcher.load(SHIPPED_DIR / "listing"),
        image_encoder=prepare_image_encoder(cache_dir=default_cache_dir()),
    )
    return suggester


def refit(champion: Suggester, cases: list, said: list[str]) -> Readings:
    readers = ReadersLabels(reference())
    return refit_readings(champion, cases, readers=lambda: readers, seed=0, progress=said.append)


def test_a_corrected_chat_gives_a_new_reader_and_only_the_chat_part_is_written(
    champion: Suggester, tmp_path: Path
) -> None:
    said: list[str] = []
    readings = refit(champion, corrected_cases(60), said)
    assert readings.changed == ("chat",)
    assert f"chat: learned {DAMAGE} from 30 labels" in said
    broken = [decided(61, corrected=False).file]
    before, after = (
        suggester.scorer.score(broken)[0].statements[0].probabilities[DAMAGE]
        for suggester in (champion, readings.suggester)
    )
    assert before < 0.5 < after
    readings.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["chat"]
    assert json.loads((tmp_path / "chat" / "model.json").read_text(encoding="utf-8"))["labels"]


def test_without_corrections_the_champion_reads_on(champion: Suggester, tmp_path: Path) -> None:
    readings = refit(champion, [decided(place, corrected=False) for place in range(4)], [])
    assert readings.suggester is champion
    readings.save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_samples_hold_readers_labels_of_chats_and_pairs() -> None:
    labels = sample_labels(DATASETS_DIR)
    assert len(labels.chats) > 200
    assert {pair.matches for pair in labels.pairs} == {True, False}
    assert all(pair.file.photos for pair in labels.pairs)
