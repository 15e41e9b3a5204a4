"""The findings: every proposition that decides a case, with its probability and what speaks for and against it.

`read_findings` is the only way from evidence to findings; the simulator writes evidence from findings that are true.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from models.claim_window import owed
from models.cues import CueBook, shipped_cues
from models.delivery import carrier_caused, delivery, return_received, sign_off
from models.evidence import CaseEvidence, Finding, read_once
from models.goods import (
    hidden_quality,
    impaired,
    keeps_goods,
    no_reason_return_open,
    part_only,
    promise,
    replaceable,
    worthless_to_return,
)
from models.procedure import agreements, evidence_default, outstanding_evidence, seller_silence
from models.proof import (
    buyer_fault,
    changed_mind,
    condition_at_sign_off,
    explanation_or_rebuttal,
    inspection_report,
    prima_facie,
    provenance,
    seller_admits,
)
from models.rule_pack import Proof
from models.vocabulary import Ruling, Speaker

Proposition = Literal[
    Proof,
    "receipt_confirmed",
    "seller_silent",
    "buyer_defaulted",
    "seller_defaulted",
    "evidence_outstanding",
    "seller_admits",
    "buyer_fault",
    "carrier_caused",
    "changed_mind",
    "part_only",
    "worthless_to_return",
    "replaceable",
    "impaired",
    "keeps_goods",
    "hidden_quality",
    "resending_promised",
    "breakage_covered",
]
PROPOSITIONS: tuple[Proposition, ...] = get_args(Proposition)
AGREED_REMEDIES = (Ruling.REFUND, Ruling.RETURN_AND_REFUND, Ruling.PARTIAL_REFUND, Ruling.REPLACE)


@dataclass(frozen=True)
class Findings:
    """stated : the finding of each proposition; agreed : of each remedy both sides may have agreed on."""

    stated: Mapping[Proposition, Finding]
    agreed: Mapping[Ruling, Finding]


def read_findings(evidence: CaseEvidence, *, no_reason_days: int = 7, cues: CueBook | None = None) -> Findings:
    """Read every finding out of the evidence."""
    book = cues or shipped_cues()
    stated: dict[Proposition, Finding] = {
        "proper_sign_off": sign_off(evidence, book),
        "condition_at_sign_off": condition_at_sign_off(evidence, book),
        "prima_facie": prima_facie(evidence, book),
        "explanation_or_rebuttal": explanation_or_rebuttal(evidence, book),
        "inspection_report": inspection_report(evidence),
        "provenance": provenance(evidence, book),
        "delivery": delivery(evidence, book),
        "return_received": return_received(evidence, book),
        "no_reason_return_open": no_reason_return_open(evidence, book, days=no_reason_days),
        "receipt_confirmed": _receipt_confirmed(evidence),
        "seller_silent": seller_silence(evidence),
        "buyer_defaulted": evidence_default(evidence, by=Speaker.BUYER),
        "seller_defaulted": evidence_default(evidence, by=Speaker.SELLER),
        "evidence_outstanding": outstanding_evidence(evidence, book),
        "seller_admits": seller_admits(evidence),
        "buyer_fault": buyer_fault(evidence, book),
        "carrier_caused": carrier_caused(evidence, book),
        "changed_mind": changed_mind(evidence, book),
        "part_only": part_only(evidence, book),
        "worthless_to_return": worthless_to_return(evidence, book),
        "replaceable": replaceable(evidence, book),
        "impaired": impaired(evidence, book),
        "keeps_goods": keeps_goods(evidence, book),
        "hidden_quality": hidden_quality(evidence, book),
        "resending_promised": owed(promise(evidence, book, "promise_of_resending"), evidence),
        "breakage_covered": owed(promise(evidence, book, "promise_of_breakage_cover"), evidence),
    }
    return Findings(stated, agreements(evidence, book))


@read_once
def _receipt_confirmed(evidence: CaseEvidence) -> Finding:
    ref = "order.receipt_confirmed_at"
    confirmed = evidence.case.order.receipt_confirmed_at is not None and evidence.counts(ref)
    return Finding(1.0, (ref,)) if confirmed else Finding(0.0, (), (ref,))
