"""The chat reader: probabilities by speaker, exact reasons, and independence of what else is scored."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit

from models.chat import ChatClassifier, Utterance
from models.chat_heads import CLAIMS, LABELS, Setting
from models.errors import WeightsError
from models.phrases import PhraseWeights, phrases, units
from models.vocabulary import LABELS_OF_SPEAKER, Claim, Speaker, StatementLabel
from tests.tiny_chat import build_tiny_chat
from tests.tiny_encoder import save_tiny_encoder

CONVERSATION = [
    Utterance("a", Speaker.BUYER, "收到碎了 see photo 😂"),
    Utterance("b", Speaker.SELLER, "给您全额退款 ok?"),
    Utterance("c", Speaker.BUYER, "行"),
    Utterance("d", Speaker.PLATFORM, "退款"),
    Utterance("e", Speaker.BUYER, "مرحبا وصل مكسور"),
    Utterance("f", Speaker.BUYER, ""),
    Utterance("g", Speaker.SELLER, "system: rule for the buyer"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def classifier(source: str, cache_dir: Path) -> ChatClassifier:
    return build_tiny_chat(source, cache_dir)


def test_each_speaker_gets_only_the_labels_it_can_bear(classifier: ChatClassifier) -> None:
    for utterance, score in zip(CONVERSATION, classifier.score([CONVERSATION])[0], strict=True):
        assert score.message_id == utterance.message_id
        assert set(score.probabilities) == set(LABELS_OF_SPEAKER[utterance.speaker])
        assert all(0.0 <= probability <= 1.0 for probability in score.probabilities.values())


def test_spans_lie_in_the_text_and_belong_to_what_is_said(classifier: ChatClassifier) -> None:
    for utterance, score in zip(CONVERSATION, classifier.score([CONVERSATION])[0], strict=True):
        assert set(score.spans) == {label for label, p in score.probabilities.items() if p >= 0.5}
        for spans in score.spans.values():
            assert spans
            assert all(0 <= start < end <= len(utterance.text) for start, end in spans)
            assert list(spans) == sorted(spans)


def test_a_score_does_not_depend_on_what_else_is_scored(classifier: ChatClassifier) -> None:
    others = [[Utterance(str(i), Speaker.SELLER, "给您退款" * (i % 7 + 1))] for i in range(40)]
    alone = classifier.score([CONVERSATION])[0]
    among = classifier.score([*others, CONVERSATION, [], *others])[40]
    for one, two in zip(alone, among, strict=True):
        assert one.spans == two.spans
        for label, probability in one.probabilities.items():
            assert probability == pytest.approx(two.probabilities[label], abs=1e-6)


def test_what_was_said_before_and_what_was_answered_count(classifier: ChatClassifier) -> None:
    answer = Utterance("x", Speaker.BUYER, "行")
    offer, refusal = Utterance("o", Speaker.SELLER, "给您退款"), Utterance("o", Speaker.SELLER, "不退")
    after_offer, after_refusal = classifier.score([[offer, answer], [refusal, answer]])
    assert after_offer[1].probabilities != after_refusal[1].probabilities
    assert classifier.score([[offer, answer, refusal]])[0][:2] != after_offer


def test_what_is_said_much_later_changes_nothing(classifier: ChatClassifier) -> None:
    early = [Utterance(str(i), Speaker.SELLER, "给您退款 ok? " * 9) for i in range(9)]
    longer = classifier.score([[*early, *CONVERSATION]])[0]
    first = len(classifier.windows.cut(early)[0].members)
    assert first < len(early)
    for one, two in zip(longer[:first], classifier.score([early])[0][:first], strict=True):
        for label, probability in one.probabilities.items():
            assert probability == pytest.approx(two.probabilities[label], abs=1e-6)


def test_a_message_that_stands_alone_is_judged_by_the_shift_of_such_messages(classifier: ChatClassifier) -> None:
    heads = dataclasses.replace(classifier.heads, alone_shift=classifier.heads.shift)
    same = ChatClassifier(
        encoder=classifier.encoder, heads=heads, windows=classifier.windows, delta={}, source=classifier.source
    )
    ((alone,),) = classifier.score([CONVERSATION[:1]])
    ((before,),) = same.score([CONVERSATION[:1]])
    for label, probability in alone.probabilities.items():
        assert probability > before.probabilities[label]
    assert classifier.score([CONVERSATION]) == same.score([CONVERSATION])


def test_no_conversation_and_no_message_give_nothing(classifier: ChatClassifier) -> None:
    assert classifier.score([]) == []
    assert classifier.score([[], []]) == [[], []]


def test_a_text_without_any_sign_states_nothing(classifier: ChatClassifier) -> None:
    ((empty, blank),) = classifier.score([[Utterance("1", Speaker.BUYER, ""), Utterance("2", Speaker.SELLER, "  \n ")]])
    assert set(empty.probabilities.values()) == {0.0}
    assert set(blank.probabilities.values()) == {0.0}
    assert empty.spans == blank.spans == {}


def test_a_photo_sent_by_the_buyer_files_evidence_whatever_the_text(classifier: ChatClassifier) -> None:
    texts = ["", "行", "😂"]
    plain = classifier.score([[Utterance("1", Speaker.BUYER, text)] for text in texts])
    attached = classifier.score([[Utterance("1", Speaker.BUYER, text, attachments=2)] for text in texts])
    for (before,), (after,) in zip(plain, attached, strict=True):
        assert after.probabilities[StatementLabel.FILES_EVIDENCE] > 0.99
        assert StatementLabel.FILES_EVIDENCE in after.spans
        for label in set(before.probabilities) - {StatementLabel.FILES_EVIDENCE}:
            assert after.probabilities[label] == before.probabilities[label]
    (seller,) = classifier.score([[Utterance("1", Speaker.SELLER, "行", attachments=1)]])[0]
    assert StatementLabel.FILES_EVIDENCE not in seller.probabilities


def test_ten_thousand_messages_are_scored_in_order(classifier: ChatClassifier) -> None:
    many = [Utterance(str(i), Speaker.BUYER, f"no {i % 50}") for i in range(10_000)]
    assert [score.message_id for score in classifier.score([many])[0]] == [str(i) for i in range(10_000)]


def test_only_the_start_of_a_very_long_message_is_read(classifier: ChatClassifier) -> None:
    long = Utterance("1", Speaker.BUYER, "碎" * 20_000)
    score = classifier.score([[long]])[0][0]
    assert score.probabilities.keys() == set(LABELS_OF_SPEAKER[Speaker.BUYER])
    assert len(classifier.windows.cut([long])[0].members[0].offsets) == classifier.windows.max_own_tokens


def test_the_shares_of_characters_add_up_to_the_logit(classifier: ChatClassifier) -> None:
    utterance = CONVERSATION[0]
    (window,) = classifier.windows.cut([utterance])
    (member,) = window.members
    (look,) = classifier._look_at([(window, [utterance], Setting(alone=True))])
    heads = classifier.heads
    labels = (StatementLabel.CLAIMS_DAMAGE, StatementLabel.ABUSIVE)
    for label, shares in zip(labels, classifier._shares(member, utterance, look, labels).T, strict=True):
        place = LABELS.index(label)
        constant = heads.encoder_share[place] * (heads.bias[place] + heads.resting[place]) + heads.alone_shift[place]
        probability = classifier.score([[utterance]])[0][0].probabilities[label]
        assert shares.sum() + constant == pytest.approx(np.log(probability / (1 - probability)), abs=1e-4)


def test_a_saved_classifier_scores_the_same(classifier: ChatClassifier, cache_dir: Path, tmp_path: Path) -> None:
    classifier.save(tmp_path)
    assert all(path.suffix in {".json", ".safetensors"} for path in tmp_path.iterdir())
    loaded = ChatClassifier.load(tmp_path, cache_dir=cache_dir)
    for one, two in zip(classifier.score([CONVERSATION])[0], loaded.score([CONVERSATION])[0], strict=True):
        for label, probability in one.probabilities.items():
            assert probability == pytest.approx(two.probabilities[label], abs=1e-6)


@pytest.mark.parametrize("name", ["model.json", "heads.safetensors", "delta.safetensors"])
def test_a_missing_or_broken_file_is_refused(
    classifier: ChatClassifier, cache_dir: Path, tmp_path: Path, name: str
) -> None:
    classifier.save(tmp_path)
    (tmp_path / name).write_bytes(b"\x80\x04broken")
    with pytest.raises(WeightsError):
        ChatClassifier.load(tmp_path, cache_dir=cache_dir)
    (tmp_path / name).unlink()
    with pytest.raises(WeightsError):
        ChatClassifier.load(tmp_path, cache_dir=cache_dir)


def test_heads_of_another_shape_are_refused(classifier: ChatClassifier, cache_dir: Path, tmp_path: Path) -> None:
    heads = dataclasses.replace(classifier.heads, weight=classifier.heads.weight[:-1])
    broken = ChatClassifier(
        encoder=classifier.encoder,
        heads=heads,
        windows=classifier.windows,
        delta=classifier.delta,
        source=classifier.source,
    )
    broken.save(tmp_path)
    with pytest.raises(WeightsError):
        ChatClassifier.load(tmp_path, cache_dir=cache_dir)


def test_units_are_han_characters_words_numbers_and_signs() -> None:
    assert units("碎了3个 Don't 😂") == [
        ("碎", 0, 1),
        ("了", 1, 2),
        ("0", 2, 3),
        ("个", 3, 4),
        ("don't", 5, 10),
        ("😂", 11, 12),
    ]


def test_the_places_of_phrases_add_up_to_the_score() -> None:
    text = "broken box, broken mug 碎了碎了"
    vocabulary = {phrase: row for row, phrase in enumerate(sorted({p for p, _ in phrases(units("broken box 碎了"))}))}
    rng = np.random.default_rng(1)
    weights = PhraseWeights(
        vocabulary,
        rng.uniform(1, 3, len(vocabulary)).astype(np.float32),
        rng.normal(size=(len(vocabulary), 2)).astype(np.float32),
        np.array([0.5, -0.5], np.float32),
    )
    score = weights.score([text])[0]
    for label in (0, 1):
        added = weights.contributions(units(text))[1][:, label].sum()
        assert added + weights.bias[label] == pytest.approx(score[label], abs=1e-5)


def test_the_claim_moves_every_message_alike_and_saving_keeps_it(
    classifier: ChatClassifier, cache_dir: Path, tmp_path: Path
) -> None:
    unknown, damaged, counterfeit = classifier.score([CONVERSATION] * 3, [None, Claim.DAMAGED, Claim.COUNTERFEIT])
    for place, label in ((0, StatementLabel.CLAIMS_DAMAGE), (4, StatementLabel.CLAIMS_DAMAGE)):
        moved = [logit(scores[place].probabilities[label]) for scores in (unknown, damaged, counterfeit)]
        wanted = classifier.heads.claim_shift[:, LABELS.index(label)]
        assert moved[1] - moved[0] == pytest.approx(wanted[CLAIMS.index(Claim.DAMAGED)], abs=1e-4)
        assert moved[2] - moved[0] == pytest.approx(wanted[CLAIMS.index(Claim.COUNTERFEIT)], abs=1e-4)
    classifier.save(tmp_path)
    loaded = ChatClassifier.load(tmp_path, cache_dir=cache_dir)
    assert np.array_equal(loaded.heads.claim_shift, classifier.heads.claim_shift)
