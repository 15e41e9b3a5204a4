"""The classifiers at work: everything keeps its place, each photo is seen once, nothing hangs on batch mates."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from models.case_file import CaseFile
from models.chat import ChatClassifier
from models.encoders import ImageEncoder, PhotoFeatures, default_cache_dir
from models.evidence import CaseEvidence
from models.listing import ListingMatcher
from models.photo import DamageClassifier
from models.registry import SHIPPED_DIR
from models.scorer import EvidenceScorer, conversation, own_accounts
from models.vocabulary import LABELS_OF_SPEAKER, Speaker
from tests.builders import build_case, hours, photo_bytes

ROLES = ("listing", "received", "packaging", "waybill", "screenshot", "returned")
PHOTOS = [
    {"photo_id": f"p{place}", "role": role, "filed_by": "seller" if role in ("listing", "returned") else "buyer"}
    for place, role in enumerate(ROLES)
]
CHAT = [
    {"message_id": f"m{place}", "at": hours(50 + place), "speaker": speaker, "text": text}
    for place, (speaker, text) in enumerate(
        [("buyer", "杯子碎了"), ("seller", "Sorry to hear that"), ("system", "请文明沟通"), ("buyer", "")]
    )
]


class CountingEncoder(ImageEncoder):
    """The image encoder, counting what it is shown."""

    seen = 0

    def encode(self, image: Image.Image, *, scale: float = 1.0) -> PhotoFeatures:
        self.seen += 1
        return super().encode(image, scale=scale)


@pytest.fixture(scope="module")
def chat() -> ChatClassifier:
    return ChatClassifier.load(SHIPPED_DIR / "chat", cache_dir=default_cache_dir(), int8=True)


@pytest.fixture
def scorer(chat: ChatClassifier, image_encoder: ImageEncoder) -> EvidenceScorer:
    return build_scorer(chat, image_encoder)


def build_scorer(chat: ChatClassifier, image_encoder: ImageEncoder) -> EvidenceScorer:
    """One that remembers nothing yet."""
    return EvidenceScorer(
        chat=chat,
        damage=DamageClassifier.load(SHIPPED_DIR / "damage"),
        listing=ListingMatcher.load(SHIPPED_DIR / "listing"),
        image_encoder=CountingEncoder(image_encoder.session, digest=image_encoder.digest),
        threads=2,
    )


def file(bytes_by_id: dict[str, bytes] | None = None, **changes: Any) -> CaseFile:
    case = build_case(**{"chat": CHAT, "photos": PHOTOS, "buyer_statement": "碎了", **changes})
    return CaseFile(case, bytes_by_id or {})


def seen_by(scorer: EvidenceScorer) -> int:
    assert isinstance(scorer.image_encoder, CountingEncoder)
    return scorer.image_encoder.seen


def test_the_chat_becomes_utterances_in_order() -> None:
    assert [(u.message_id, u.speaker, u.text) for u in conversation(file().case)][:2] == [
        ("m0", Speaker.BUYER, "杯子碎了"),
        ("m1", Speaker.SELLER, "Sorry to hear that"),
    ]


def test_own_accounts_are_conversations_of_their_own_and_empty_ones_are_left_out() -> None:
    case = build_case(buyer_statement="碎了", seller_statement="  ")
    assert [[(u.message_id, u.speaker) for u in account] for account in own_accounts(case)] == [
        [("buyer_statement", Speaker.BUYER)]
    ]


def test_statements_keep_their_place_and_bear_the_labels_of_their_speaker(scorer: EvidenceScorer) -> None:
    (evidence,) = scorer.score([file(seller_statement="完好")])
    assert [(s.ref, s.place) for s in evidence.statements] == [
        ("buyer_statement", -1),
        ("seller_statement", -1),
        ("m0", 0),
        ("m1", 1),
        ("m2", 2),
        ("m3", 3),
    ]
    for statement in evidence.statements:
        assert set(statement.probabilities) == set(LABELS_OF_SPEAKER[statement.speaker])
    assert set(evidence.statements[-1].probabilities.values()) == {0.0}


def test_accounts_go_to_their_own_case(scorer: EvidenceScorer) -> None:
    files = [file(buyer_statement=""), file(seller_statement="发货前完好"), file(buyer_statement="少了一个")]
    together = scorer.score(files)
    assert [[s.ref for s in e.statements if s.place < 0] for e in together] == [
        [],
        ["buyer_statement", "seller_statement"],
        ["buyer_statement"],
    ]
    for alone, among in zip((scorer.score([one])[0] for one in files), together, strict=True):
        assert_same(alone, among)


def assert_same(one: CaseEvidence, other: CaseEvidence) -> None:
    assert [s.ref for s in one.statements] == [s.ref for s in other.statements]
    for left, right in zip(one.statements, other.statements, strict=True):
        for label, probability in left.probabilities.items():
            assert right.probabilities[label] == pytest.approx(probability, abs=1e-6)
    assert one.photos == other.photos
    assert one.match == other.match
    assert one.unreadable == other.unreadable


def test_photos_of_goods_are_scored_and_papers_are_not(scorer: EvidenceScorer) -> None:
    (evidence,) = scorer.score([file({f"p{place}": photo_bytes(seed=place) for place in range(len(ROLES))})])
    scored = {str(photo.role): photo.damaged for photo in evidence.photos}
    assert list(scored) == list(ROLES)
    assert scored["waybill"] is None
    assert scored["screenshot"] is None
    for role in ("listing", "received", "packaging", "returned"):
        probability = scored[role]
        assert probability is not None
        assert 0 <= probability <= 1


def test_the_same_bytes_are_looked_at_once(scorer: EvidenceScorer) -> None:
    same = photo_bytes(seed=1)
    (evidence,) = scorer.score([file({"p1": same, "p2": same, "p0": photo_bytes(seed=2)})])
    assert seen_by(scorer) == 2
    by_id = {photo.ref: photo for photo in evidence.photos}
    assert by_id["p1"].damaged == by_id["p2"].damaged


def test_unreadable_bytes_are_listed_and_absent_ones_are_not(scorer: EvidenceScorer) -> None:
    (evidence,) = scorer.score([file({"p1": b"not a photo", "p2": photo_bytes()[:200], "p0": photo_bytes()})])
    assert evidence.unreadable == ("p1", "p2")
    assert [photo.ref for photo in evidence.photos] == ["p0"]


def test_bytes_of_no_photo_of_the_case_are_never_opened(scorer: EvidenceScorer) -> None:
    (evidence,) = scorer.score([file({"stray": photo_bytes()})])
    assert (evidence.photos, evidence.unreadable, seen_by(scorer)) == ((), (), 0)


def test_with_threads_photos_are_looked_at_while_chats_are_read(
    chat: ChatClassifier, image_encoder: ImageEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = build_scorer(chat, image_encoder)
    looking, score = threading.Event(), chat.score

    def score_after_a_look(*given: Any) -> Any:
        assert looking.wait(timeout=30)
        return score(*given)

    def look(image: Image.Image, *, scale: float = 1.0) -> PhotoFeatures:
        looking.set()
        return image_encoder.encode(image, scale=scale)

    monkeypatch.setattr(chat, "score", score_after_a_look)
    monkeypatch.setattr(scorer.image_encoder, "encode", look)
    (evidence,) = scorer.score([file({"p1": photo_bytes(seed=1)})])
    assert [photo.ref for photo in evidence.photos] == ["p1"]


def test_the_number_of_threads_changes_nothing(chat: ChatClassifier, image_encoder: ImageEncoder) -> None:
    files = [file({"p0": photo_bytes(seed=i), "p1": photo_bytes(seed=9)}, case_id=f"c{i}") for i in range(3)]
    many, one = build_scorer(chat, image_encoder), build_scorer(chat, image_encoder)
    one.threads = 1
    for left, right in zip(many.score(files), one.score(files), strict=True):
        assert_same(left, right)
    assert seen_by(many) == seen_by(one) == 4


def test_listing_and_received_photos_are_compared(scorer: EvidenceScorer) -> None:
    (evidence,) = scorer.score([file({"p0": photo_bytes(seed=1), "p1": photo_bytes(seed=2)})])
    assert evidence.match is not None
    assert evidence.match.ref == "p0|p1"
    assert 0 <= evidence.match.mismatch <= 1


@pytest.mark.parametrize("present", [("p0",), ("p1",), ("p0", "p2"), ("p0", "p5")])
def test_without_both_sides_there_is_no_match_and_what_came_back_is_not_what_was_received(
    scorer: EvidenceScorer, present: tuple[str, ...]
) -> None:
    (evidence,) = scorer.score([file({name: photo_bytes(seed=3) for name in present})])
    assert evidence.match is None


def test_scores_never_depend_on_batch_mates(chat: ChatClassifier, image_encoder: ImageEncoder) -> None:
    files = [file({"p0": photo_bytes(seed=i), "p1": photo_bytes(seed=i + 9)}, case_id=f"c{i}") for i in range(3)]
    alone = [build_scorer(chat, image_encoder).score([one])[0] for one in files]
    for one, among in zip(alone, build_scorer(chat, image_encoder).score(files), strict=True):
        assert_same(one, among)


def test_photos_and_chats_met_lately_are_not_scored_again_and_come_out_the_same(scorer: EvidenceScorer) -> None:
    first = file({"p0": photo_bytes(seed=1), "p1": photo_bytes(seed=2), "p2": b"not a photo"})
    (before,) = scorer.score([first])
    encoder = scorer.chat.encoder.session
    scorer.chat.encoder.session = None
    try:
        (after,) = scorer.score([file(dict(first.photos), case_id="another")])
    finally:
        scorer.chat.encoder.session = encoder
    assert seen_by(scorer) == 2
    assert after.unreadable == ("p2",)
    assert_same(before, replace(after, case=before.case))


def test_no_files_give_no_evidence(scorer: EvidenceScorer) -> None:
    assert scorer.score([]) == []
