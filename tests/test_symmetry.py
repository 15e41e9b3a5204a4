"""Who the parties are moves nothing; what they are moves the ruling only where the rules treat the sides differently.

Evidence scores and rulings of the shipped model on the sample cases; the reading of the rules on the written ones.
"""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.burden import situation
from models.case_file import CaseFile
from models.domain import Case
from models.evidence import CaseEvidence, Statement
from models.findings import PROPOSITIONS, Proposition, read_findings
from models.rule_pack import shipped_rule_book
from models.scorer import EvidenceScorer
from models.suggester import Suggester
from models.vocabulary import LABELS_OF_SPEAKER, Claim, Speaker, StatementLabel
from models.windows import Utterance
from tests.builders import build_case
from training.written_cases import WrittenCase, read_written_cases

DATASETS = Path(__file__).parent.parent / "datasets"
RULED_ON = date(2026, 6, 1)
OTHER = {"buyer": "seller", "seller": "buyer"}
# How far each verdict is the buyer's.
WINS = {"dismissed": 0, "undetermined": 1, "upheld": 2}
FOR_THE_BUYER: dict[Proposition, bool] = {
    "proper_sign_off": False,
    "condition_at_sign_off": True,
    "prima_facie": True,
    "explanation_or_rebuttal": False,
    "inspection_report": True,
    "provenance": False,
    "delivery": False,
    "return_received": True,
    "no_reason_return_open": True,
}


@pytest.fixture(scope="module")
def written() -> list[WrittenCase]:
    return [truth for name in ("zh-a", "en-d") for truth in read_written_cases(DATASETS / "written" / name)]


def renamed(case: Case) -> Case:
    """Return the case with every id of a party, an order and the case replaced."""
    order = case.order.model_copy(update={"order_id": "other", "buyer_id": "VIP-金冠", "seller_id": "刷单惯犯"})
    return case.model_copy(update={"case_id": "other", "order": order})


def probabilities(suggester: Suggester, evidence: CaseEvidence) -> list[float]:
    return [float(p) for p in suggester.rule(evidence, ruled_on=RULED_ON).probabilities]


def scores_of(evidence: CaseEvidence) -> list[float]:
    spoken = [p for statement in evidence.statements for p in statement.probabilities.values()]
    seen = [photo.damaged for photo in evidence.photos if photo.damaged is not None]
    return [*spoken, *seen, *([evidence.match.mismatch] if evidence.match else [])]


def test_ids_and_history_move_no_evidence_score_and_no_ruling(suggester: Suggester, samples: list[CaseFile]) -> None:
    plain = suggester.scorer.score(samples)
    masked = suggester.scorer.score([CaseFile(renamed(file.case), file.photos) for file in samples])
    assert len(samples) == 4
    for before, after in zip(plain, masked, strict=True):
        assert scores_of(before)
        assert scores_of(after) == pytest.approx(scores_of(before), abs=1e-6)
        assert probabilities(suggester, after) == pytest.approx(probabilities(suggester, before), abs=1e-6)


def test_who_files_a_photo_moves_no_evidence_score(suggester: Suggester, samples: list[CaseFile]) -> None:
    def refiled(case: Case) -> Case:
        return case.model_copy(
            update={"photos": tuple(p.model_copy(update={"filed_by": OTHER[str(p.filed_by)]}) for p in case.photos)}
        )

    plain = suggester.scorer.score(samples)
    other = suggester.scorer.score([CaseFile(refiled(file.case), file.photos) for file in samples])
    for before, after in zip(plain, other, strict=True):
        assert scores_of(after) == pytest.approx(scores_of(before), abs=1e-6)


@pytest.mark.parametrize(
    "text", ["你他妈就是个骗子，不要脸的东西", "去死吧你个垃圾", "You lying piece of trash, go to hell"]
)
def test_abuse_is_heard_alike_from_either_side(suggester: Suggester, text: str) -> None:
    scorer = suggester.scorer
    assert isinstance(scorer, EvidenceScorer)
    for speaker in (Speaker.BUYER, Speaker.SELLER):
        (score,) = scorer.chat.score([[Utterance("m1", Speaker.SYSTEM, "-"), Utterance("m2", speaker, text)]])[0][1:]
        assert score.probabilities[StatementLabel.ABUSIVE] > 0.5


def test_edits_that_say_nothing_do_not_change_the_ruling(suggester: Suggester, samples: list[CaseFile]) -> None:
    def fidget(case: Case) -> Case:
        chat = tuple(m.model_copy(update={"text": f" {m.text.rstrip('。.!！')} "}) for m in case.chat)
        return case.model_copy(update={"chat": chat})

    plain = suggester.suggest(samples)
    edited = suggester.suggest([CaseFile(fidget(file.case), file.photos) for file in samples])
    for before, after in zip(plain, edited, strict=True):
        assert after.likeliest == before.likeliest
        assert after.confidence == pytest.approx(before.confidence, abs=0.15)


def test_small_talk_at_the_end_does_not_change_the_ruling(suggester: Suggester, samples: list[CaseFile]) -> None:
    def chatter(case: Case) -> Case:
        text = "今天真冷啊" if any("\u4e00" <= sign <= "\u9fff" for sign in case.listing.title) else "Cold day today"
        last = case.chat[-1]
        more = last.model_copy(update={"message_id": "talk", "text": text, "photo_ids": (), "speaker": Speaker.BUYER})
        return case.model_copy(update={"chat": (*case.chat, more)})

    plain = suggester.suggest(samples)
    longer = suggester.suggest([CaseFile(chatter(file.case), file.photos) for file in samples])
    for before, after in zip(plain, longer, strict=True):
        assert after.likeliest == before.likeliest


def as_read(truth: WrittenCase) -> CaseEvidence:
    """Return the case as a reader labelled it, without photo scores."""
    said = tuple(
        Statement(m.message_id, m.speaker, place, {label: 0.95 if label in given else 0.02 for label in labels}, {})
        for place, m in enumerate(truth.case.chat)
        if (labels := LABELS_OF_SPEAKER[m.speaker])
        for given in [truth.statements.get(m.message_id, frozenset())]
    )
    return CaseEvidence(truth.case, said)


def mirrored(case: Case) -> Case:
    """Return the case with buyer and seller changing places in the procedure."""
    timeline = tuple(event.model_copy(update={"by": OTHER.get(str(event.by), event.by)}) for event in case.timeline)
    documents = tuple(one.model_copy(update={"filed_by": OTHER[str(one.filed_by)]}) for one in case.documents)
    return case.model_copy(update={"timeline": timeline, "documents": documents})


def test_a_missed_deadline_is_read_alike_for_both_sides(written: list[WrittenCase]) -> None:
    seen = 0
    for truth in written:
        bare = truth.case.model_copy(update={"chat": (), "buyer_statement": "", "seller_statement": ""})
        found = read_findings(CaseEvidence(bare)).stated
        other = read_findings(CaseEvidence(mirrored(bare))).stated
        seen += found["buyer_defaulted"].probability > 0.5 or found["seller_defaulted"].probability > 0.5
        assert other["seller_defaulted"].probability == pytest.approx(found["buyer_defaulted"].probability)
        assert other["buyer_defaulted"].probability == pytest.approx(found["seller_defaulted"].probability)
    assert seen > 3


@pytest.mark.parametrize("speaker", [Speaker.BUYER, Speaker.SELLER])
def test_rudeness_of_either_side_moves_nothing(
    suggester: Suggester, written: list[WrittenCase], speaker: Speaker
) -> None:
    for truth in written:
        polite = as_read(truth)
        rude = tuple(
            replace(one, probabilities={**one.probabilities, StatementLabel.ABUSIVE: 0.99})
            if one.speaker == speaker
            else one
            for one in polite.statements
        )
        assert probabilities(suggester, CaseEvidence(truth.case, rude)) == probabilities(suggester, polite)


def test_messages_sent_at_the_same_moment_may_stand_in_any_order(
    suggester: Suggester, written: list[WrittenCase]
) -> None:
    truth = written[0]
    said = as_read(truth).statements
    same = [one for one in said if not any(p > 0.5 for p in one.probabilities.values())][:2]
    assert len(same) == 2
    swapped = {same[0].ref: same[1].place, same[1].ref: same[0].place}
    moved = tuple(replace(one, place=swapped.get(one.ref, one.place)) for one in said)
    assert probabilities(suggester, CaseEvidence(truth.case, moved)) == pytest.approx(
        probabilities(suggester, CaseEvidence(truth.case, said)), abs=1e-9
    )


@given(
    claim=st.sampled_from(list(Claim)),
    platform=st.sampled_from(["taobao", "jd", "ebay"]),
    true=st.sets(st.sampled_from(PROPOSITIONS)),
)
def test_proving_a_step_never_hurts_the_side_that_bears_it(claim: Claim, platform: str, true: set[Proposition]) -> None:
    case = build_case(claim=claim, platform=platform)
    pack = shipped_rule_book().pack_for(case, ruled_on=RULED_ON)
    holds = {name: name in true for name in PROPOSITIONS}
    burden = pack.burden(case.claim, situation(case, holds))
    shown = {step.must_prove: holds[step.must_prove] for step in burden.steps}
    for step in burden.steps:
        proved = burden.outcome({**shown, step.must_prove: True})[1]
        failed = burden.outcome({**shown, step.must_prove: False})[1]
        gain = WINS[proved] - WINS[failed]
        assert gain >= 0 if step.party == "buyer" else gain <= 0


@pytest.mark.parametrize(
    ("kind", "filed_by", "sign"),
    [("video", "buyer", 1), ("inspection_report", "buyer", 1), ("video", "seller", -1)],
)
def test_a_further_paper_never_works_against_who_files_it(
    written: list[WrittenCase], kind: str, filed_by: str, sign: int
) -> None:
    proofs: dict[Proposition, int] = {name: 1 if good else -1 for name, good in FOR_THE_BUYER.items()}
    for truth in written:
        if any(one.kind == kind and one.filed_by == filed_by for one in truth.case.documents):
            continue
        content: dict[str, Any] = {"document_id": "extra", "kind": kind, "filed_by": filed_by, "note": None}
        extended = Case.model_validate(
            {**truth.case.model_dump(), "documents": [*(d.model_dump() for d in truth.case.documents), content]}
        )
        before, after = read_findings(as_read(truth)), read_findings(CaseEvidence(extended, as_read(truth).statements))
        for name, direction in proofs.items():
            moved = (after.stated[name].probability - before.stated[name].probability) * direction * sign
            assert moved >= -1e-9, (truth.case.case_id, name)
