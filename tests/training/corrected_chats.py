"""Cases whose chats a deaf classifier reads and people corrected, and what readers labelled beside them."""

from pathlib import Path

import numpy as np

from models.case_file import CaseFile
from models.chat import ChatClassifier, Utterance
from models.chat_heads import CLAIMS, LABELS, Heads
from models.domain import Outcome
from models.encoders import prepare_text_encoder
from models.phrases import PhraseWeights
from models.truth import EvidenceCorrection
from models.vocabulary import LABELS_OF_SPEAKER, Platform, Speaker, StatementLabel
from models.windows import WindowMaker
from tests.builders import build_case, hours
from tests.tiny_encoder import save_tiny_encoder
from training.chat_corpus import LabelledConversation
from training.snapshot import DecidedCase

DAMAGE = StatementLabel.CLAIMS_DAMAGE
BROKEN, FINE = "收到碎了", "好的没有"


def deaf_classifier(folder: Path, *, cache_dir: Path) -> ChatClassifier:
    """Return a classifier on a tiny encoder that hears no statement in anything."""
    source = save_tiny_encoder(folder)
    encoder = prepare_text_encoder(source, cache_dir=cache_dir)
    n_labels = len(LABELS)
    zeros, ones = np.zeros((n_labels, 32), np.float32), np.ones(n_labels, np.float32)
    phrases = PhraseWeights({"好": 0}, np.ones(1, np.float32), np.zeros((1, n_labels), np.float32), 0 * ones)
    nothing, of_claims = 0 * ones, np.zeros((len(CLAIMS), n_labels), np.float32)
    heads = Heads(zeros, zeros, -1.5 * ones, phrases, 0.8 * ones, ones, nothing, nothing, nothing, of_claims)
    return ChatClassifier(encoder=encoder, heads=heads, windows=WindowMaker(encoder.tokenizer), delta={}, source=source)


def decided(place: int, *, corrected: bool, holds: bool = True) -> DecidedCase:
    text = BROKEN if place % 2 else FINE
    case = build_case(
        case_id=f"TB-{place}",
        order={"seller_id": f"s-{place // 4}"},
        chat=[{"message_id": "m1", "at": hours(50), "speaker": "buyer", "text": f"{text} {'abcdefgh'[place % 8]}"}],
    )
    outcome = Outcome.model_validate({"case_id": case.case_id, "ruling": "refund", "suggestion_shown": True})
    said = EvidenceCorrection(
        platform=Platform.TAOBAO, case_id=case.case_id, kind="statement", ref="m1", label=DAMAGE, holds=holds
    )
    return DecidedCase(CaseFile(case), outcome, (said,) if corrected else ())


def corrected_cases(n_cases: int) -> list[DecidedCase]:
    """Return cases of which people corrected every second, where the goods came broken."""
    return [decided(place, corrected=place % 2 == 1) for place in range(n_cases)]


def labelled(text: str, *, damage: bool, number: int) -> LabelledConversation:
    return LabelledConversation(
        conversation_id=f"r{number}",
        group=f"case:{number}",
        source="case",
        language="zh",
        utterances=(Utterance("m1", Speaker.BUYER, f"{text} {number}"),),
        labels=(frozenset({DAMAGE} if damage else ()),),
        known=(frozenset(LABELS_OF_SPEAKER[Speaker.BUYER]),),
    )


def reference(*, contrary: bool = False) -> list[LabelledConversation]:
    return [
        labelled(BROKEN if number % 2 else FINE, damage=bool(number % 2) != contrary, number=number)
        for number in range(40)
    ]


def heard(classifier: ChatClassifier, text: str) -> dict[StatementLabel, float]:
    return classifier.score([[Utterance("m", Speaker.BUYER, text)]])[0][0].probabilities
