"""Fitting of the chat classifier on a tiny encoder: it learns, masks what is unknown, and keeps groups together."""

from pathlib import Path

import numpy as np
import pytest

from models.chat import ChatClassifier, Utterance
from models.chat_heads import CLAIMS
from models.errors import ModelError
from models.vocabulary import LABELS_OF_SPEAKER, Claim, Speaker, StatementLabel
from tests.tiny_encoder import save_tiny_encoder
from training.chat_corpus import REVIEW_LABELS, LabelledConversation
from training.chat_heads import ABSENT_LOGIT, best_threshold, blend, calibrating_shift, fit_features, fit_phrases
from training.claim_habits import claim_log_odds, habit_logits
from training.fit_chat import FittedChat, fit_conversations, folds_of
from training.metrics import macro_f1
from training.statement_pool import load_pool
from training.tune_encoder import TuneSettings

SAYINGS = {
    StatementLabel.CLAIMS_DAMAGE: "碎了 broken",
    StatementLabel.CLAIMS_COUNTERFEIT: "假货 fake",
    StatementLabel.FILES_EVIDENCE: "照片 photo",
}


def _corpus(n: int = 60) -> list[LabelledConversation]:
    conversations = []
    for number in range(n):
        label = list(SAYINGS)[number % 3]
        utterances = (
            Utterance("m1", Speaker.BUYER, f"{SAYINGS[label]} {'abcdefgh'[number % 8]}"),
            Utterance("m2", Speaker.PLATFORM, "收到"),
        )
        is_review = number % 5 == 0
        known = frozenset(REVIEW_LABELS if is_review else LABELS_OF_SPEAKER[Speaker.BUYER])
        conversations.append(
            LabelledConversation(
                conversation_id=f"d{number}",
                group=f"goods:{number}",
                source="review" if is_review else "dialogue",
                language="zh",
                utterances=utterances,
                labels=(frozenset({label}), frozenset()),
                known=(known, frozenset()),
            )
        )
    return conversations


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> FittedChat:
    return fit_conversations(
        _corpus(),
        cache_dir=cache_dir,
        source=save_tiny_encoder(tmp_path_factory.mktemp("encoder")),
        settings=TuneSettings(layers=1, rank=2, epochs=3, batch=8),
        threads=1,
        progress=lambda line: None,
    )


def test_it_learns_what_was_said(fitted: FittedChat) -> None:
    for label, saying in SAYINGS.items():
        score = fitted.classifier.score([[Utterance("1", Speaker.BUYER, saying)]])[0][0]
        assert max(score.probabilities, key=lambda found: score.probabilities[found]) == label


def test_the_pool_holds_held_out_messages_but_no_review(fitted: FittedChat) -> None:
    ours = {c.utterances[0].text for c in _corpus() if c.source == "dialogue"}
    assert fitted.pool.messages
    assert {message.text for message in fitted.pool.messages} <= ours
    assert len(fitted.pool.messages) <= len(_corpus()) // 5


def test_saving_writes_classifier_and_pool(fitted: FittedChat, cache_dir: Path, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    loaded = ChatClassifier.load(tmp_path, cache_dir=cache_dir)
    conversation = [Utterance("1", Speaker.BUYER, "碎了 broken")]
    saved, fresh = loaded.score([conversation])[0][0], fitted.classifier.score([conversation])[0][0]
    for label, probability in fresh.probabilities.items():
        assert saved.probabilities[label] == pytest.approx(probability, abs=5e-3)
    assert len(load_pool(tmp_path / "pool.json").messages) == len(fitted.pool.messages)


def test_nothing_to_fit_on_is_an_error(fitted: FittedChat, cache_dir: Path) -> None:
    with pytest.raises(ModelError):
        fit_conversations(
            [],
            cache_dir=cache_dir,
            source=fitted.classifier.source,
            settings=TuneSettings(),
            threads=1,
            progress=lambda line: None,
        )


def test_a_group_is_never_split_between_folds() -> None:
    groups = [f"g{number % 17}" for number in range(200)]
    folds = folds_of(groups, n_folds=5)
    assert set(folds) == set(range(5))
    assert all(len({f for f, g in zip(folds, groups, strict=True) if g == name}) == 1 for name in set(groups))


def test_rows_that_say_nothing_of_a_label_do_not_teach_it() -> None:
    texts = ["碎了"] * 10 + ["好"] * 10 + ["坏"] * 10
    y_true = np.zeros((30, 1), bool)
    y_true[:10] = True
    known = np.ones((30, 1), bool)
    known[20:] = False
    masked = fit_phrases(texts, y_true, known, min_count=1)
    alone = fit_phrases(texts[:20], y_true[:20], known[:20], min_count=1)
    assert masked.weights[masked.vocabulary["坏"], 0] == 0
    assert np.sign(masked.weights[masked.vocabulary["碎"], 0]) == np.sign(alone.weights[alone.vocabulary["碎"], 0]) == 1


def test_a_label_without_examples_gets_a_fixed_low_logit() -> None:
    weight, bias = fit_features(np.eye(4), np.zeros((4, 2), bool), np.ones((4, 2), bool))
    assert not weight.any()
    assert (bias == ABSENT_LOGIT).all()


def test_the_blend_trusts_the_reader_that_knows_and_decides_at_zero() -> None:
    rng = np.random.default_rng(0)
    y_true = rng.random((2000, 2)) < 0.3
    good = np.where(y_true, 3.0, -3.0) + rng.normal(size=y_true.shape) * 2
    noise = rng.normal(size=y_true.shape)
    alone = rng.random(2000) < 0.2
    learnt = blend(good, noise, 0 * noise, y_true, np.ones_like(y_true), alone)
    assert (learnt.encoder_share > 5 * learnt.phrase_share).all()
    assert macro_f1(y_true, learnt.logits(good, noise, 0 * noise, alone) >= 0) > 0.85


def test_what_the_filed_claim_tells_counts_where_it_is_known() -> None:
    rng = np.random.default_rng(0)
    claims = [None, *([Claim.DAMAGED, Claim.COUNTERFEIT] * 1000)]
    y_true = np.array([[claim == Claim.DAMAGED and rng.random() < 0.5] for claim in claims])
    table = claim_log_odds(y_true, np.ones_like(y_true), claims)
    assert table[CLAIMS.index(Claim.DAMAGED), 0] > 0.5
    assert table[CLAIMS.index(Claim.COUNTERFEIT), 0] < -2
    assert table[CLAIMS.index(Claim.NOT_RECEIVED), 0] == pytest.approx(0)
    told = habit_logits(table, claims)
    assert not told[0].any()
    logits = np.where(y_true, 1.0, -1.0) + rng.normal(size=y_true.shape) * 2
    alone = np.zeros(len(claims), bool)
    learnt = blend(logits, 0 * logits, told, y_true, np.ones_like(y_true), alone)
    assert learnt.claim_share > 0.5
    knowing, guessing = (learnt.logits(logits, 0 * logits, share * told, alone) >= 0 for share in (1, 0))
    assert macro_f1(y_true, knowing) > macro_f1(y_true, guessing) + 0.05


def test_messages_that_stand_alone_have_their_own_threshold() -> None:
    rng = np.random.default_rng(0)
    y_true = rng.random((2000, 1)) < 0.3
    alone = np.arange(2000) < 500
    logits = np.where(y_true, 2.0, -2.0) + rng.normal(size=y_true.shape) + np.where(alone[:, None], 4.0, 0.0)
    learnt = blend(logits, logits, 0 * logits, y_true, np.ones_like(y_true), alone)
    said = learnt.logits(logits, logits, 0 * logits, alone) >= 0
    assert macro_f1(y_true[alone], said[alone]) > 0.9
    assert macro_f1(y_true[~alone], said[~alone]) > 0.9
    few = blend(
        logits, logits, 0 * logits, y_true & (~alone | (np.arange(2000) < 3))[:, None], np.ones_like(y_true), alone
    )
    assert (few.alone_shift == few.shift).all()


def test_a_calibrating_shift_makes_probabilities_sum_to_the_examples() -> None:
    y_true = np.arange(100) < 30
    logits = np.linspace(-3, 5, 100)
    shifted = 1 / (1 + np.exp(-(logits + calibrating_shift(y_true, logits))))
    assert shifted.sum() == pytest.approx(100 * 31 / 102)


def test_the_best_threshold_separates_but_never_strays_far() -> None:
    logits = np.concatenate([np.full(50, -2.0), np.full(50, -0.5)])
    y_true = np.arange(100) >= 50
    assert -2.0 < best_threshold(y_true, logits) <= -0.5
    assert best_threshold(y_true, logits - 20) >= -1.2
