"""The desk speaks both languages whole."""

import pytest

from models.missing import shipped_requests
from models.rule_pack import shipped_rule_book
from models.vocabulary import (
    LABELS_OF_SPEAKER,
    AbstainReason,
    Claim,
    DocumentKind,
    GoodsState,
    LogisticsEventKind,
    PhotoRole,
    ProcedureEventKind,
    Responsible,
    Ruling,
    SignedBy,
    Speaker,
    StatementLabel,
)
from serving.words import LANGUAGES, Language, language_of, words

VOCABULARIES = {
    "claim": Claim,
    "ruling": Ruling,
    "responsible": Responsible,
    "goods": GoodsState,
    "abstain": AbstainReason,
    "label": StatementLabel,
    "by": SignedBy,
    "role": PhotoRole,
    "document": DocumentKind,
    "event": [*LogisticsEventKind, *ProcedureEventKind],
    "party": Speaker,
}


def test_both_languages_have_the_same_keys() -> None:
    assert set(words("zh").entries) == set(words("en").entries)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("prefix", VOCABULARIES)
def test_every_term_of_the_field_has_words(language: Language, prefix: str) -> None:
    assert [term for term in VOCABULARIES[prefix] if not words(language).has(f"{prefix}.{term}")] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_proof_and_request_has_words(language: Language) -> None:
    proofs = {
        step.must_prove
        for pack in shipped_rule_book().packs
        for situations in pack.claims.values()
        for burden in situations.values()
        for step in burden.steps
    }
    assert [proof for proof in proofs if not words(language).has(f"proof.{proof}")] == []
    assert [name for name in shipped_requests() if not words(language).has(f"missing.{name}")] == []


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [("en", "zh-CN", "en"), ("zh", "en", "zh"), (None, "en-GB,en", "en"), (None, "fr", "zh"), ("xx", None, "zh")],
)
def test_the_chosen_language_wins_over_the_browsers(cookie: str | None, accepted: str | None, language: str) -> None:
    assert language_of(cookie, accepted) == language


def test_labels_of_both_parties_are_the_whole_vocabulary() -> None:
    both = {*LABELS_OF_SPEAKER[Speaker.BUYER], *LABELS_OF_SPEAKER[Speaker.SELLER]}
    assert both == set(StatementLabel)
