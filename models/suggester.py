"""Suggester: the one way from case files to suggestions, online, in a backlog and in evaluation.

A suggestion is never a decision. Text inside evidence is only evidence. Knows nothing of storage or of the web.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.adjudication import Adjudication
from models.amounts import refund_amount
from models.burden import Order, ledger
from models.case_file import CaseFile, input_digest
from models.domain import Remedy, Suggestion
from models.evidence import CaseEvidence
from models.explanation import OUT_OF_DISTRIBUTION, explain
from models.findings import Findings, read_findings
from models.missing import missing_evidence
from models.rule_pack import RuleBook, RulePack
from models.ruling import RULINGS, RulingClassifier, features
from models.scorer import Scorer
from models.vocabulary import AbstainReason, Claim, Responsible, Ruling

CalibratedOn = Literal["simulated", "outcomes"]
_ABOUT_GOODS = (
    Claim.DAMAGED,
    Claim.NOT_AS_DESCRIBED,
    Claim.QUALITY_DEFECT,
    Claim.MISSING_ITEM,
    Claim.COUNTERFEIT,
)


@dataclass(frozen=True)
class Ruled:
    """A ruling on one case's evidence, before it is explained.

    probabilities : shape (n_rulings,), calibrated, in the order of RULINGS
    """

    findings: Findings
    orders: dict[Order, float]
    probabilities: NDArray[np.float64]

    @property
    def likeliest(self) -> Ruling:
        return RULINGS[int(self.probabilities.argmax())]

    @property
    def order(self) -> Order:
        """The likeliest order of the likeliest ruling; undetermined where the rules never order that ruling."""
        fitting = {order: p for order, p in self.orders.items() if order.ruling == self.likeliest}
        if fitting:
            return max(fitting, key=lambda order: fitting[order])
        return Order(self.likeliest, Responsible.UNDETERMINED, None, None)


class Suggester:
    """Scores evidence, applies the rules and learned weights, and composes the suggestion.

    max_set_size : prediction sets larger than this abstain
    """

    def __init__(
        self,
        *,
        scorer: Scorer,
        ruling: RulingClassifier,
        rule_book: RuleBook,
        model_version: str,
        calibrated_on: CalibratedOn = "simulated",
        max_set_size: int = 3,
    ) -> None:
        self.scorer = scorer
        self.ruling = ruling
        self.rule_book = rule_book
        self.model_version = model_version
        self.calibrated_on = calibrated_on
        self.max_set_size = max_set_size

    def suggest(
        self, files: Sequence[CaseFile], *, scorer: Scorer | None = None, now: datetime | None = None
    ) -> list[Suggestion]:
        """Return one suggestion a case, in order; none depends on what else is in `files` (to 1e-6).

        scorer : stands in for the classifiers, e.g. where photo files are absent from an evaluation
        now : the time of ruling, aware; its date chooses the rule pack. Default: the present
        """
        moment = now or datetime.now(UTC)
        evidence = (scorer or self.scorer).score(files)
        return [self._suggest_one(file, piece, moment) for file, piece in zip(files, evidence, strict=True)]

    def rule(self, evidence: CaseEvidence, *, ruled_on: date) -> Ruled:
        """Return the ruling on scored evidence, unexplained."""
        pack = self.rule_book.pack_for(evidence.case, ruled_on=ruled_on)
        return self._rule([_read(evidence, pack)], Adjudication(evidence.case, pack))[0]

    def _rule(self, findings: Sequence[Findings], adjudication: Adjudication) -> list[Ruled]:
        """Return the ruling of one case on each of these findings."""
        if not findings:
            return []
        orders = adjudication.expected_orders(findings)
        rows = [features(adjudication.case, one, ordered) for one, ordered in zip(findings, orders, strict=True)]
        y_prob = self.ruling.predict_proba(np.array(rows))
        return [Ruled(*each) for each in zip(findings, orders, y_prob, strict=True)]

    def _suggest_one(self, file: CaseFile, evidence: CaseEvidence, moment: datetime) -> Suggestion:
        case = file.case
        pack = self.rule_book.pack_for(case, ruled_on=moment.date())
        adjudication = Adjudication(case, pack)
        ruled = self._rule([_read(evidence, pack)], adjudication)[0]
        seen = {photo.ref for photo in evidence.photos}
        unreadable = frozenset(evidence.unreadable)
        absent = frozenset(photo.photo_id for photo in case.photos) - seen - unreadable
        in_set = self._set(case.claim, ruled)
        reason = self.abstain_reason(evidence, ruled)
        order = ruled.order
        digest = input_digest(file, ruled_on=moment.date())
        return Suggestion(
            suggestion_id=hashlib.sha256(f"{digest} {self.model_version}".encode()).hexdigest()[:32],
            case_id=case.case_id,
            created_at=moment,
            model_version=self.model_version,
            rule_pack=pack.name,
            calibrated_on=self.calibrated_on,
            input_digest=digest,
            ruling=None if reason else ruled.likeliest,
            confidence=float(ruled.probabilities.max()),
            probabilities={ruling: float(p) for ruling, p in zip(RULINGS, ruled.probabilities, strict=True)},
            prediction_set=tuple(
                RULINGS[place] for place in np.argsort(-ruled.probabilities, kind="stable") if in_set[place]
            ),
            alpha=self.ruling.alpha,
            abstained=reason is not None,
            abstain_reason=reason,
            responsible=order.responsible,
            remedy=Remedy(
                refund_minor=refund_amount(evidence, order.ruling),
                outbound_freight=order.outbound_freight,
                return_freight=order.return_freight,
            ),
            evidence=explain(
                evidence,
                ruled.findings,
                ruled.probabilities,
                rule=lambda others: self._probabilities([_read(other, pack) for other in others], adjudication),
            ),
            ledger=ledger(case, pack, ruled.findings),
            missing_evidence=missing_evidence(
                case,
                ruled.findings,
                ruled.probabilities,
                rule=lambda others: self._probabilities(others, adjudication),
                absent_photos=absent,
                unreadable_photos=unreadable,
            ),
        )

    def _probabilities(self, findings: Sequence[Findings], adjudication: Adjudication) -> NDArray[np.float64]:
        ruled = [one.probabilities for one in self._rule(findings, adjudication)]
        return np.array(ruled).reshape(-1, len(RULINGS))

    def _set(self, claim: Claim, ruled: Ruled) -> NDArray[np.bool_]:
        kept: NDArray[np.bool_] = self.ruling.predict_sets(ruled.probabilities[None], [claim])[0]
        return kept

    def abstain_reason(self, evidence: CaseEvidence, ruled: Ruled) -> AbstainReason | None:
        """Return why no ruling should be suggested on this evidence, None where one should."""
        case = evidence.case
        spoken = any(message.text.strip() for message in case.chat)
        accounts = case.buyer_statement.strip() or case.seller_statement.strip()
        if evidence.unreadable and not evidence.photos and case.claim in _ABOUT_GOODS:
            return AbstainReason.UNREADABLE_EVIDENCE
        if not (spoken or accounts or evidence.photos or case.documents or case.logistics):
            return AbstainReason.EVIDENCE_MISSING
        scored = [photo for photo in evidence.photos if photo.damaged is not None]
        strange = all(photo.out_of_distribution >= OUT_OF_DISTRIBUTION for photo in scored)
        if case.claim == Claim.DAMAGED and scored and strange and not spoken:
            return AbstainReason.OUT_OF_DISTRIBUTION
        if int(self._set(case.claim, ruled).sum()) > self.max_set_size:
            return AbstainReason.SET_TOO_LARGE
        return None


def _read(evidence: CaseEvidence, pack: RulePack) -> Findings:
    return read_findings(evidence, no_reason_days=pack.no_reason_return_days)
