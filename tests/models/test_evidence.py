"""Evidence can be left out piece by piece, and pieces add up as independent ones do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cues import shipped_cues
from models.evidence import ListingMatch, ScoredPhoto, weigh
from models.vocabulary import PhotoRole, Speaker, StatementLabel
from tests.builders import build_case, build_evidence, hours, said

ADMITS = StatementLabel.ADMITS_FAULT
CLAIMS = StatementLabel.CLAIMS_DAMAGE
SAID = build_evidence(
    None,
    said("seller", {ADMITS: 0.6}, place=0),
    said("buyer", {CLAIMS: 0.9}, place=1),
    said("seller", {ADMITS: 0.8}, place=2),
    said("seller", {ADMITS: 0.7}, place=-1, ref="seller_statement"),
)
weights = st.lists(st.floats(0, 1), max_size=6)


def test_the_strongest_statement_is_found_wherever_its_speaker_made_it() -> None:
    assert SAID.strongest(ADMITS, by=Speaker.SELLER) == ("m3", 0.8)
    assert SAID.without("m3").strongest(ADMITS, by=Speaker.SELLER) == ("seller_statement", 0.7)
    assert SAID.without("m3").without("seller_statement").strongest(ADMITS, by=Speaker.SELLER) == ("m1", 0.6)


def test_the_first_of_equally_strong_statements_is_cited() -> None:
    evidence = build_evidence(None, said("seller", {ADMITS: 0.6}, place=0), said("seller", {ADMITS: 0.6}, place=1))
    assert evidence.strongest(ADMITS, by=Speaker.SELLER) == ("m1", 0.6)


def test_nobody_can_say_what_only_the_other_side_can() -> None:
    assert SAID.strongest(ADMITS, by=Speaker.BUYER) == (None, 0.0)
    assert build_evidence().strongest(ADMITS, by=Speaker.SELLER) == (None, 0.0)


def test_what_is_left_out_is_not_heard_and_the_original_keeps_it() -> None:
    left = SAID.without("m2")
    assert [statement.ref for statement, _, _ in left.said(CLAIMS, by=Speaker.BUYER)] == []
    assert [statement.ref for statement, _, _ in SAID.said(CLAIMS, by=Speaker.BUYER)] == ["m2"]
    assert not left.counts("m2")
    assert SAID.counts("m2")


def test_photos_are_found_by_role_and_by_who_filed_them() -> None:
    photos = tuple(
        ScoredPhoto(f"p{place}", role, party, 0.5)
        for place, (role, party) in enumerate(
            [(PhotoRole.RECEIVED, "buyer"), (PhotoRole.RECEIVED, "seller"), (PhotoRole.WAYBILL, "buyer")]
        )
    )
    evidence = build_evidence(photos=photos)
    assert [p.ref for p in evidence.photos_of(PhotoRole.RECEIVED, filed_by="buyer")] == ["p0"]
    assert evidence.without("p0").photos_of(PhotoRole.RECEIVED, filed_by="buyer") == []


def test_messages_are_found_by_their_words_in_order() -> None:
    chat = [
        {"message_id": f"m{place}", "at": hours(place), "speaker": "buyer", "text": text}
        for place, text in enumerate(["有视频", "你好", "视频发你了"])
    ]
    evidence = build_evidence(build_case(chat=chat))
    cues = shipped_cues()
    assert [m.message_id for m in evidence.messages_with("names_proof", cues=cues)] == ["m0", "m2"]
    assert [m.message_id for m in evidence.without("m0").messages_with("names_proof", cues=cues)] == ["m2"]


def test_a_match_is_known_by_both_its_photos() -> None:
    assert ListingMatch("p1", "p2", 0.5).ref == "p1|p2"


def test_independent_support_adds_up_as_a_noisy_or_and_opposition_takes_its_share() -> None:
    finding = weigh([("a", 0.5), ("b", 0.5)], [("c", 0.2)])
    assert finding.probability == pytest.approx(0.75 * 0.8)
    assert (finding.supported_by, finding.opposed_by) == (("a", "b"), ("c",))


def test_faint_and_nameless_pieces_are_not_cited() -> None:
    finding = weigh([(None, 0.9), ("faint", 0.05)], [("x", 0.09)])
    assert (finding.supported_by, finding.opposed_by) == ((), ())


@given(weights, weights, st.floats(0, 1))
def test_more_support_never_lowers_and_more_opposition_never_raises(
    support: list[float], against: list[float], more: float
) -> None:
    for_it = [(f"s{i}", weight) for i, weight in enumerate(support)]
    opposed = [(f"o{i}", weight) for i, weight in enumerate(against)]
    base = weigh(for_it, opposed).probability
    assert 0 <= base <= 1
    assert weigh([*for_it, ("more", more)], opposed).probability >= base - 1e-12
    assert weigh(for_it, [*opposed, ("more", more)]).probability <= base + 1e-12


def test_without_support_nothing_is_found() -> None:
    assert weigh([]).probability == 0.0
