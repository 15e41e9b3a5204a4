"""What is measured: which rows, which labels, and that baselines are scored on the same rows."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from models.chat import ChatClassifier
from models.chat_heads import CLAIMS, LABELS, Heads
from models.encoders import prepare_text_encoder
from models.vocabulary import LABELS_OF_SPEAKER, Speaker, StatementLabel
from models.windows import WindowMaker
from tests.tiny_encoder import save_tiny_encoder
from training.chat_heads import fit_phrases
from training.evaluate_chat import REVIEW_FIGURE_LABELS, score_baselines, score_cases, score_reviews


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> ChatClassifier:
    source = save_tiny_encoder(tmp_path_factory.mktemp("encoder"))
    encoder = prepare_text_encoder(source, cache_dir=tmp_path_factory.mktemp("cache"))
    texts = ["碎了", "假货", "好"] * 3
    y_true = np.array([[label.value in wanted for label in LABELS] for wanted in _WANTED])
    n_labels = len(LABELS)
    zeros = np.zeros((n_labels, 32), np.float32)
    heads = Heads(
        weight=zeros,
        focus=zeros,
        bias=np.zeros(n_labels, np.float32),
        phrases=fit_phrases(texts, y_true, np.ones_like(y_true)),
        encoder_share=np.ones(n_labels, np.float32),
        phrase_share=np.ones(n_labels, np.float32),
        shift=np.zeros(n_labels, np.float32),
        alone_shift=np.zeros(n_labels, np.float32),
        resting=np.zeros(n_labels, np.float32),
        claim_shift=np.zeros((len(CLAIMS), n_labels), np.float32),
    )
    return ChatClassifier(encoder=encoder, heads=heads, windows=WindowMaker(encoder.tokenizer), delta={}, source=source)


_WANTED: list[set[str]] = [{"claims_damage"}, {"claims_counterfeit"}, set()] * 3


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "text").mkdir()
    with (tmp_path / "text" / "reviews.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "category", "text", "labels", "split"])
        for number in range(8):
            writer.writerow([number, "c", "碎了" if number % 2 else "假货", "", "train"])
        writer.writerow(["8", "c", "碎了", "claims_damage abusive", "test"])
        writer.writerow(["9", "c", "假货", "claims_counterfeit", "test"])
    chat = [
        {"message_id": "m1", "speaker": "buyer", "text": "碎了"},
        {"message_id": "m2", "speaker": "platform", "text": "收到"},
        {"message_id": "m3", "speaker": "seller", "text": ""},
    ]
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "cases.jsonl").write_text(
        json.dumps({"case_id": "c1", "claim": "damaged", "chat": chat}), encoding="utf-8"
    )
    (tmp_path / "cases" / "statements.jsonl").write_text(
        json.dumps({"case_id": "c1", "message_id": "m1", "labels": ["claims_damage"]}), encoding="utf-8"
    )
    return tmp_path


def test_reviews_are_the_test_rows_over_the_six_labels(classifier: ChatClassifier, data_dir: Path) -> None:
    scored = score_reviews(classifier, data_dir)
    assert scored.labels == REVIEW_FIGURE_LABELS
    assert list(scored.groups) == ["review-8", "review-9"]
    y_true, y_prob = scored.of(StatementLabel.CLAIMS_DAMAGE)
    assert y_true.tolist() == [True, False]
    assert (y_prob >= 0.5).tolist() == [True, False]


def test_cases_are_every_message_that_can_bear_a_label(classifier: ChatClassifier, data_dir: Path) -> None:
    scored = score_cases(classifier, data_dir)
    assert scored.y_true.shape == scored.y_prob.shape == (2, len(LABELS))
    assert scored.y_true.sum() == 1
    assert list(scored.language) == ["zh", "zh"]
    impossible = [label not in LABELS_OF_SPEAKER[Speaker.BUYER] for label in LABELS]
    assert not scored.y_prob[0, impossible].any()
    assert not scored.y_prob[1].any()


def test_baselines_are_scored_on_the_same_rows(classifier: ChatClassifier, data_dir: Path, tmp_path: Path) -> None:
    wanted = score_reviews(classifier, data_dir)
    baselines = score_baselines(data_dir, datasets_dir=tmp_path / "none", encoder=classifier.encoder)
    assert set(baselines) == {"tfidf", "e5"}
    for scored in baselines.values():
        assert (scored.y_true == wanted.y_true).all()
        assert (scored.groups == wanted.groups).all()
        assert ((scored.y_prob >= 0) & (scored.y_prob <= 1)).all()
