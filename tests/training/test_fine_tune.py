"""Tuning the whole encoder really runs where it may, learns what people corrected, and is refused where it can't."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.chat import ChatClassifier
from models.vocabulary import Speaker
from tests.training.corrected_chats import BROKEN, DAMAGE, FINE, corrected_cases, heard, reference
from training.fine_tune import (
    Allowance,
    MachineTooSmallError,
    corrected_chats,
    fine_tune,
    free_memory,
    worse_for_readers,
)
from training.statement_pool import load_pool
from training.tune_encoder import TuneSettings

SETTINGS = TuneSettings(layers=1, rank=2, epochs=3, batch=8)
PLENTY = Allowance(memory_bytes=10**12, minutes=1e6)


@pytest.fixture(scope="module")
def datasets_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of twenty dialogues that know no damage yet."""
    folder = tmp_path_factory.mktemp("datasets")
    (folder / "chat").mkdir()
    dialogues = [
        {
            "dialogue_id": f"d-{number}",
            "topic": f"goods {number}",
            "language": "zh",
            "claim": "damaged",
            "messages": [{"speaker": "seller", "text": f"给您退款 {number}", "labels": ["offers_refund"]}],
        }
        for number in range(20)
    ]
    text = "".join(json.dumps(dialogue, ensure_ascii=False) + "\n" for dialogue in dialogues)
    (folder / "chat" / "zh.jsonl").write_text(text, encoding="utf-8")
    return folder


def test_the_encoder_is_tuned_on_corpus_and_corrections_and_saved_whole(
    deaf: ChatClassifier, datasets_dir: Path, cache_dir: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    fitted, n_messages = fine_tune(
        deaf,
        corrected_cases(60),
        datasets_dir=datasets_dir,
        cache_dir=cache_dir,
        allowance=PLENTY,
        settings=SETTINGS,
        progress=said.append,
    )
    assert n_messages == 50
    assert "GB and about" in said[1]
    assert len({name.split(".")[2] for name in fitted.classifier.delta}) == 2
    assert heard(fitted.classifier, BROKEN)[DAMAGE] > heard(deaf, BROKEN)[DAMAGE]
    fitted.save(tmp_path)
    again = ChatClassifier.load(tmp_path, cache_dir=cache_dir)
    assert heard(again, BROKEN)[DAMAGE] == pytest.approx(heard(fitted.classifier, BROKEN)[DAMAGE], abs=0.02)
    assert load_pool(tmp_path / "pool.json").messages


@pytest.mark.parametrize(
    "allowance", [replace(PLENTY, memory_bytes=1), replace(PLENTY, minutes=0.0)], ids=["memory", "time"]
)
def test_a_machine_that_is_too_small_is_told_what_is_needed(
    deaf: ChatClassifier, datasets_dir: Path, cache_dir: Path, allowance: Allowance
) -> None:
    with pytest.raises(
        MachineTooSmallError, match=r"takes .* GB and about .* minutes for 20 messages.*retrain without"
    ):
        fine_tune(
            deaf,
            [],
            datasets_dir=datasets_dir,
            cache_dir=cache_dir,
            allowance=allowance,
            settings=SETTINGS,
            progress=print,
        )


def test_only_what_people_spoke_of_is_known_of_a_corrected_chat() -> None:
    chats = corrected_chats(corrected_cases(4))
    assert [chat.group for chat in chats] == ["seller:taobao/s-0", "seller:taobao/s-0"]
    assert all(chat.known == chat.labels == (frozenset({DAMAGE}),) for chat in chats)
    assert all(chat.utterances[0].speaker == Speaker.BUYER for chat in chats)


def test_a_tuned_classifier_that_hears_worse_than_the_old_one_is_refused(deaf: ChatClassifier) -> None:
    heads = deaf.heads
    shouting = ChatClassifier(
        encoder=deaf.encoder,
        heads=replace(heads, bias=heads.bias + 9),
        windows=deaf.windows,
        delta=deaf.delta,
        source=deaf.source,
    )
    assert heard(shouting, FINE)[DAMAGE] > 0.5
    why = worse_for_readers(deaf, shouting, reference(), seed=0)
    assert why is not None
    assert why.startswith("significantly more mistakes on what readers labelled, ")
    assert worse_for_readers(shouting, deaf, reference(), seed=0) is None


def test_free_memory_is_less_than_the_machine_has() -> None:
    assert 10_000_000 < free_memory() < 10**14
