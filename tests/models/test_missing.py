"""What is missing is asked of the side that could file it, for what it may change, in both languages."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.domain import MissingEvidence
from models.evidence import Finding
from models.findings import PROPOSITIONS, Findings, Proposition, read_findings
from models.missing import missing_evidence, shipped_requests
from models.ruling import RULINGS
from models.vocabulary import Claim, Party
from tests.builders import build_case, build_evidence

WEIGHTS: dict[Proposition, float] = {"condition_at_sign_off": 0.4, "proper_sign_off": -0.2, "prima_facie": 0.1}


def linear(weights: dict[Proposition, float]) -> Callable[[Findings], NDArray[np.float64]]:
    """Return a ruling in which each finding moves its weight of probability from the last ruling to the first."""

    def rule(findings: Findings) -> NDArray[np.float64]:
        first = 0.5 + sum(weight * findings.stated[name].probability for name, weight in weights.items())
        return np.array([first, *[0.0] * (len(RULINGS) - 2), 1 - first])

    return rule


def missing(
    weights: dict[Proposition, float] = WEIGHTS, *, absent: tuple[str, ...] = (), **changes: Any
) -> tuple[MissingEvidence, ...]:
    case = build_case(**changes)
    rule = linear(weights)
    findings = read_findings(build_evidence(case))
    nothing = Findings(dict.fromkeys(PROPOSITIONS, Finding(0.0)), findings.agreed)
    return missing_evidence(
        case,
        nothing,
        rule(nothing),
        rule=lambda others: np.array([rule(other) for other in others]),
        absent_photos=frozenset(absent),
    )


def test_the_gain_is_the_distance_the_item_may_move_the_ruling_and_the_greatest_comes_first() -> None:
    assert [(item.what, item.party) for item in missing()] == [
        ("unboxing_video", Party.BUYER),
        ("packaging_photo", Party.BUYER),
        ("proof_of_sign_off", Party.SELLER),
        ("received_photo", Party.BUYER),
    ]
    assert [item.gain for item in missing()] == pytest.approx([0.38, 0.3, 0.18, 0.08])


def test_what_would_change_nothing_is_not_asked_for() -> None:
    assert missing({"condition_at_sign_off": 0.02}) == ()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"photos": [{"photo_id": "p1", "role": "packaging", "filed_by": "buyer"}]}, "packaging_photo"),
        ({"documents": [{"document_id": "d1", "kind": "video", "filed_by": "buyer"}]}, "unboxing_video"),
        (
            {"documents": [{"document_id": "d1", "kind": "carrier_statement", "filed_by": "seller"}]},
            "proof_of_sign_off",
        ),
    ],
)
def test_what_is_filed_is_not_asked_for_again(changes: dict[str, Any], what: str) -> None:
    assert what in {item.what for item in missing()}
    assert what not in {item.what for item in missing(**changes)}


def test_what_only_the_other_side_filed_is_still_missing() -> None:
    video = [{"document_id": "d1", "kind": "video", "filed_by": "seller"}]
    assert "unboxing_video" in {item.what for item in missing(documents=video)}


def test_a_photo_whose_bytes_are_absent_counts_as_not_filed_and_is_always_listed() -> None:
    photos = [{"photo_id": f"p{i}", "role": "packaging", "filed_by": "buyer"} for i in range(6)]
    found = [item.what for item in missing(photos=photos, absent=tuple(f"p{i}" for i in range(6)))]
    assert "packaging_photo" in found
    assert {what for what in found if what.startswith("photo_file:")} == {f"photo_file:p{i}" for i in range(6)}


def test_an_absent_photo_is_asked_of_whoever_filed_it() -> None:
    photos = [{"photo_id": "p1", "role": "listing", "filed_by": "seller"}]
    (item,) = missing({}, photos=photos, absent=("p1",))
    assert (item.party, item.gain) == (Party.SELLER, 0.0)
    assert "p1" in item.request_text.zh
    assert "p1" in item.request_text.en


@pytest.mark.parametrize("name", sorted(shipped_requests()))
def test_every_request_is_a_sentence_in_both_languages(name: str) -> None:
    request = shipped_requests()[name]
    assert request.zh.startswith(("请", "如"))
    assert request.zh.endswith("。")
    assert not any(char.isascii() and char.isalpha() for char in request.zh)
    assert request.en.endswith(".")
    assert request.en.isascii()
    assert "lease" in request.en


@pytest.mark.parametrize("claim", list(Claim))
def test_every_claim_has_something_that_may_be_asked_for(claim: Claim) -> None:
    assert [name for name, request in shipped_requests().items() if claim in request.claims]


def test_every_request_can_be_recognised_once_it_is_filed() -> None:
    for name, request in shipped_requests().items():
        assert request.present.photos or request.present.documents, name
