"""The benchmark on statements: what an ablation takes away is really gone."""

from pathlib import Path

import pytest

from models.vocabulary import Speaker
from models.windows import Utterance
from tests.tiny_chat import build_tiny_chat
from tests.tiny_encoder import save_tiny_encoder
from training.benchmark_texts import ablations

OFFER = Utterance("a", Speaker.SELLER, "给您全额退款 ok?")
ANSWER = Utterance("b", Speaker.BUYER, "行")


def test_a_message_read_without_the_others_scores_as_if_nothing_else_was_said(tmp_path: Path) -> None:
    whole = build_tiny_chat(save_tiny_encoder(tmp_path / "encoder"), tmp_path / "cache")
    single = ablations(whole)["each message read without the others"]
    other = Utterance("a", Speaker.SELLER, "没有假货")
    for classifier, moved in ((whole, True), (single, False)):
        first, second = (classifier.score([[said, ANSWER]])[0][1].probabilities for said in (OFFER, other))
        assert (first != pytest.approx(second, abs=1e-6)) is moved
