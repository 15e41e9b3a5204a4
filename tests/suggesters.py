"""A small Suggester for tests: a scorer of known evidence, and a ruling classifier fitted on drawn expectations."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.case_file import CaseFile
from models.evidence import CaseEvidence, ListingMatch, ScoredPhoto, Statement
from models.rule_pack import shipped_rule_book
from models.ruling import FEATURES, RULINGS, RulingClassifier
from models.scorer import OWN_ACCOUNTS
from models.suggester import Suggester
from models.vocabulary import LABELS_OF_SPEAKER, PhotoRole, Speaker, StatementLabel

WORDS = {
    "碎了": StatementLabel.CLAIMS_DAMAGE,
    "arrived broken": StatementLabel.CLAIMS_DAMAGE,
    "没包好是我们的错": StatementLabel.ADMITS_FAULT,
    "our packing was bad": StatementLabel.ADMITS_FAULT,
    "签收时是好的": StatementLabel.DENIES_FAULT,
    "我自己摔的": StatementLabel.ADMITS_USE_OR_FAULT,
    "退你": StatementLabel.OFFERS_PARTIAL,
    "好的可以": StatementLabel.ACCEPTS_OFFER,
}
UNREADABLE = b"unreadable"
DAMAGED = b"damaged"
INTACT = b"intact"
STRANGE = b"strange"


class KnownScorer:
    """Reads a few known words as statements, and photos by what their bytes say of themselves."""

    def score(self, files: Sequence[CaseFile]) -> list[CaseEvidence]:
        return [_read(file) for file in files]

    def heat_map(self, data: bytes) -> NDArray[np.float32]:
        return np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)


def _read(file: CaseFile) -> CaseEvidence:
    case = file.case
    texts = [(name, speaker, -1, getattr(case, name)) for name, speaker in OWN_ACCOUNTS.items() if getattr(case, name)]
    texts += [(m.message_id, m.speaker, place, m.text) for place, m in enumerate(case.chat)]
    said = tuple(_statement(*text) for text in texts)
    photos = tuple(
        ScoredPhoto(
            photo.photo_id,
            photo.role,
            photo.filed_by,
            None if photo.role == PhotoRole.WAYBILL else {DAMAGED: 0.95, INTACT: 0.05}.get(data, 0.5),
            (1, 2, 30, 40),
            0.9 if data == STRANGE else 0.1,
        )
        for photo in case.photos
        if (data := file.photos.get(photo.photo_id)) is not None and data != UNREADABLE
    )
    listing = [photo for photo in photos if photo.role == PhotoRole.LISTING]
    received = [photo for photo in photos if photo.role == PhotoRole.RECEIVED]
    match = ListingMatch(listing[0].ref, received[0].ref, 0.9) if listing and received else None
    unreadable = tuple(photo_id for photo_id, data in file.photos.items() if data == UNREADABLE)
    return CaseEvidence(case, said, photos, match, unreadable)


def _statement(ref: str, speaker: Speaker, place: int, text: str) -> Statement:
    probabilities = dict.fromkeys(LABELS_OF_SPEAKER[speaker], 0.02)
    spans: dict[StatementLabel, tuple[tuple[int, int], ...]] = {}
    for word, label in WORDS.items():
        start = text.find(word)
        if start >= 0 and label in probabilities:
            probabilities[label] = 0.95
            spans[label] = ((start, start + len(word)),)
    return Statement(ref, speaker, place, probabilities, spans)


def drawn_rulings(n_cases: int, *, seed: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return features whose rule expectation is drawn, and true rulings drawn from that expectation."""
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.full(len(RULINGS), 0.25), size=n_cases)
    X = np.zeros((n_cases, len(FEATURES)))
    X[:, : len(RULINGS)] = np.log(prior + 0.01)
    return X, np.array([rng.choice(len(RULINGS), p=row) for row in prior], np.intp)


@cache
def fitted_ruling() -> RulingClassifier:
    """Return a classifier that follows the rules' own expectation. Shared: never alter it."""
    X, y_true = drawn_rulings(600, seed=0)
    return RulingClassifier().fit(X, y_true, calibration=drawn_rulings(600, seed=1))


def build_suggester(*, max_set_size: int = 3, model_version: str = "ruling/test") -> Suggester:
    return Suggester(
        scorer=KnownScorer(),
        ruling=fitted_ruling(),
        rule_book=shipped_rule_book(),
        model_version=model_version,
        max_set_size=max_set_size,
    )
