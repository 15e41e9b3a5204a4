"""The case file that a hidden truth leaves behind: chat, photos, logistics, procedure, documents.

Chat messages are held-out corpus messages with the labels the truth calls for; photo scores are drawn at measured error
rates. Goods and phrases are data (datasets/simulation). Knows nothing of how a case is ruled.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import TypeAdapter

from models.domain import (
    Case,
    ChatMessage,
    Document,
    Frozen,
    Listing,
    LogisticsEvent,
    Order,
    Photo,
    ProcedureEvent,
)
from models.evidence import CaseEvidence, ListingMatch, ScoredPhoto, Statement
from models.proof import CLAIM_STATEMENT
from models.vocabulary import (
    Claim,
    DocumentKind,
    LogisticsEventKind,
    Party,
    PhotoRole,
    ProcedureEventKind,
    Ruling,
    SignedBy,
    Speaker,
    StatementLabel,
)
from training.hidden_truth import HiddenTruth
from training.photo_errors import PhotoErrors
from training.statement_pool import PooledMessage, StatementPool

SIMULATION_DIR = Path(__file__).parent.parent / "datasets" / "simulation"
SIMULATED_ON = date(2026, 6, 1)
_START = datetime(2026, 4, 1, 9, tzinfo=UTC)
# Days after arrival that are past every no-reason return promised on a page (phrases.yaml: no_reason).
_TOO_LATE_DAYS = {"zh": (8.0, 15.0), "en": (31.0, 45.0)}
_OFFER_OF = {
    Ruling.REFUND: StatementLabel.OFFERS_REFUND,
    Ruling.RETURN_AND_REFUND: StatementLabel.OFFERS_RETURN,
    Ruling.PARTIAL_REFUND: StatementLabel.OFFERS_PARTIAL,
    Ruling.REPLACE: StatementLabel.OFFERS_REPLACEMENT,
}
# Labels that may settle a case: a message that bears one is not drawn unless the truth calls for it.
_DECISIVE = frozenset(
    {
        StatementLabel.ADMITS_FAULT,
        StatementLabel.ADMITS_USE_OR_FAULT,
        StatementLabel.ACCEPTS_OFFER,
        StatementLabel.CHANGED_MIND,
        *_OFFER_OF.values(),
    }
)


class Goods(Frozen):
    """An article of the simulated market; price : lowest and highest, minor units."""

    title: str
    category: str
    price: tuple[int, int]
    traits: tuple[Literal["fragile", "perishable", "countable", "consumable", "measured", "cheap"], ...]


@cache
def load_goods() -> dict[str, list[Goods]]:
    """Return the goods by language."""
    content = yaml.safe_load((SIMULATION_DIR / "goods.yaml").read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, list[Goods]]).validate_python(content)


@cache
def _phrases() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = yaml.safe_load((SIMULATION_DIR / "phrases.yaml").read_text(encoding="utf-8"))
    return loaded


def write_file(
    rng: np.random.Generator,
    case_id: str,
    truth: HiddenTruth,
    goods: Goods,
    *,
    pool: StatementPool,
    photo_errors: PhotoErrors,
) -> CaseEvidence:
    """Write the file of one dispute and return its scored evidence."""
    return _Writer(rng, case_id, truth, goods, pool, photo_errors).write()


class _Writer:
    def __init__(
        self,
        rng: np.random.Generator,
        case_id: str,
        truth: HiddenTruth,
        goods: Goods,
        pool: StatementPool,
        photo_errors: PhotoErrors,
    ) -> None:
        self.rng = rng
        self.case_id = case_id
        self.truth = truth
        self.goods = goods
        self.pool = pool
        self.photo_errors = photo_errors
        self.phrases: Mapping[str, Any] = _phrases()[truth.language]
        self.messages: list[ChatMessage] = []
        self.statements: list[Statement] = []
        self.photos: list[Photo] = []
        self.scored: list[ScoredPhoto] = []
        self.documents: list[Document] = []
        self.match: ListingMatch | None = None

    def write(self) -> CaseEvidence:
        logistics = self._logistics()
        arrived = logistics[-1].at if logistics else _START
        complained = arrived + self._complaint_delay()
        self._file_photos()
        self._file_documents()
        self._chat(complained)
        timeline = self._timeline(complained)
        case = Case(
            case_id=self.case_id,
            platform=self.truth.platform,
            opened_at=max(complained + timedelta(days=2), timeline[-1].at),
            claim=self.truth.claim,
            requested=self.truth.requested,
            buyer_statement=self._buyer_statement(),
            seller_statement=self.phrases["undeliverable"] if self.truth.undeliverable else "",
            listing=Listing(title=self.goods.title, description=self._description(), category=self.goods.category),
            order=self._order(arrived),
            logistics=tuple(logistics),
            timeline=tuple(timeline),
            chat=tuple(self.messages),
            photos=tuple(self.photos),
            documents=tuple(self.documents),
        )
        return CaseEvidence(case, tuple(self.statements), tuple(self.scored), self.match)

    def _complaint_delay(self) -> timedelta:
        """Return how long after arrival the buyer first complained: past any no-reason window where it is over."""
        if self._window_over and not self.truth.return_excluded:
            return timedelta(days=float(self.rng.uniform(*_TOO_LATE_DAYS[self.truth.language])))
        return timedelta(hours=float(self.rng.uniform(1, 20) if self.truth.prompt else 24 * 5))

    @property
    def _window_over(self) -> bool:
        return self._no_reason and not self.truth.in_no_reason_window

    @property
    def _no_reason(self) -> bool:
        return self.truth.claim == Claim.CHANGE_OF_MIND or self.truth.cause == "change_of_mind"

    def _one_of(self, name: str) -> Any:
        choices = self.phrases[name]
        return choices[int(self.rng.integers(len(choices)))]

    def _order(self, arrived: datetime) -> Order:
        low, high = self.goods.price
        return Order(
            order_id=f"O-{self.case_id}",
            buyer_id="b-sim",
            seller_id="s-sim",
            paid_minor=int(self.rng.integers(low, high + 1)),
            currency="CNY" if self.truth.language == "zh" else "USD",
            paid_at=_START,
            receipt_confirmed_at=arrived + timedelta(hours=2) if self.truth.receipt_confirmed else None,
            goods_state=self.truth.goods_state,
        )

    def _description(self) -> str:
        parts = [self._one_of(name) for name in sorted(self.truth.promised)]
        if self._no_reason:
            excluded = self._window_over and self.truth.return_excluded
            parts.append(self._one_of("no_reason_excluded" if excluded else "no_reason"))
        elif "measured" in self.goods.traits:
            parts.append(self._one_of("no_reason_excluded"))
        return "；".join(parts) if self.truth.language == "zh" else ". ".join(parts)

    def _buyer_statement(self) -> str:
        parts = []
        if self.truth.part_only:
            n = int(self.rng.integers(1, 5))
            parts.append(self._one_of("part_of_lot").format(n=n, m=n + int(self.rng.integers(3, 20))))
        if self.truth.keeps_goods:
            parts.append(self.phrases["keeps"])
        if self.truth.worthless and self.truth.claim == Claim.QUALITY_DEFECT:
            parts.append(self.phrases["dangerous"])
        if self.truth.asked_of is not None and self.truth.answer == "open":
            parts.append(self.phrases["video_named"])
        return " ".join(parts)

    def _logistics(self) -> list[LogisticsEvent]:
        truth = self.truth
        events = [LogisticsEvent(at=_START + timedelta(days=1), event=LogisticsEventKind.SHIPPED)]
        if truth.trouble_noted:
            note = self._one_of("lost" if truth.claim == Claim.NOT_RECEIVED else "carrier")
            events.append(LogisticsEvent(at=_START + timedelta(days=2), event=LogisticsEventKind.EXCEPTION, note=note))
        if not truth.arrival_shown:
            return events
        note = None
        if truth.signed_by not in (SignedBy.BUYER, SignedBy.FAMILY):
            note = self._one_of("consent" if truth.consent else "no_consent")
        if truth.damage_noted:
            note = self._one_of("damage_noted")
        unattended = truth.signed_by == SignedBy.UNKNOWN
        kind = LogisticsEventKind.DELIVERED if unattended else LogisticsEventKind.SIGNED
        events.append(LogisticsEvent(at=_START + timedelta(days=4), event=kind, by=truth.signed_by, note=note))
        if truth.claim == Claim.RETURN_NOT_REFUNDED:
            sent = _START + timedelta(days=9)
            events.append(LogisticsEvent(at=sent, event=LogisticsEventKind.RETURN_SHIPPED))
            if truth.return_arrived:
                signed = sent + timedelta(days=3)
                events.append(LogisticsEvent(at=signed, event=LogisticsEventKind.RETURN_SIGNED))
        return events

    def _file_photos(self) -> None:
        truth = self.truth
        if self.rng.random() < 0.85:
            self._photo("p-listing", PhotoRole.LISTING, Party.SELLER, damaged=False)
        if truth.shows and truth.claim not in (Claim.NOT_RECEIVED, Claim.RETURN_NOT_REFUNDED):
            visible = truth.claim == Claim.DAMAGED and (truth.cause != "none" or self.rng.random() < 0.4)
            self._photo("p-received", PhotoRole.RECEIVED, Party.BUYER, damaged=visible)
            if truth.claim == Claim.DAMAGED and self.rng.random() < 0.25:
                self._photo("p-box", PhotoRole.PACKAGING, Party.BUYER, damaged=truth.cause == "carrier")
            if len(self.photos) > 1 and self.photos[0].role == PhotoRole.LISTING:
                other = truth.claim == Claim.NOT_AS_DESCRIBED and truth.cause == "seller" and self.rng.random() < 0.6
                mismatch = self.photo_errors.draw_mismatch(self.rng, matches=not other)
                self.match = ListingMatch("p-listing", "p-received", mismatch)
        if truth.seller_rebuts and self.rng.random() < 0.5:
            self._photo("p-before", PhotoRole.BEFORE_SHIPPING, Party.SELLER, damaged=False)

    def _photo(self, photo_id: str, role: PhotoRole, party: Party, *, damaged: bool) -> None:
        self.photos.append(Photo(photo_id=photo_id, role=role, filed_by=party))
        score = self.photo_errors.draw_damage(self.rng, damaged=damaged)
        self.scored.append(ScoredPhoto(photo_id, role, party, score))

    def _file_documents(self) -> None:
        truth = self.truth
        filed: list[tuple[DocumentKind, Party]] = []
        if truth.buyer_video:
            filed.append((DocumentKind.VIDEO, Party.BUYER))
        if truth.seller_video or (truth.seller_rebuts and self.rng.random() < 0.35):
            filed.append((DocumentKind.VIDEO, Party.SELLER))
        if truth.inspection:
            filed.append((DocumentKind.INSPECTION_REPORT, Party.BUYER))
        if truth.papers and truth.claim == Claim.COUNTERFEIT:
            filed.append((DocumentKind.PROVENANCE, Party.SELLER))
        if truth.delivery_confirmed:
            filed.append((DocumentKind.CARRIER_STATEMENT, Party.SELLER))
        self.documents = [
            Document(document_id=f"d{place}", kind=kind, filed_by=party) for place, (kind, party) in enumerate(filed)
        ]

    def _chat(self, start: datetime) -> None:
        for speaker, label in self._moves():
            message = self.pool.draw(
                self.rng, language=self.truth.language, speaker=speaker, label=label, avoid=_DECISIVE
            )
            self._say(message, start + timedelta(minutes=7 * len(self.messages)))

    def _say(self, message: PooledMessage, at: datetime) -> None:
        place = len(self.messages)
        ref = f"m{place + 1}"
        self.messages.append(ChatMessage(message_id=ref, at=at, speaker=message.speaker, text=message.text))
        heard = self.pool.heard(message, self.truth.claim)
        self.statements.append(Statement(ref, message.speaker, place, heard, {}))

    def _moves(self) -> list[tuple[Speaker, StatementLabel | None]]:
        """Return who says what, in order, as the truth calls for."""
        truth, rng = self.truth, self.rng
        buyer, seller = Speaker.BUYER, Speaker.SELLER
        moves: list[tuple[Speaker, StatementLabel | None]] = []

        def maybe(chance: float, speaker: Speaker, label: StatementLabel | None) -> None:
            if rng.random() < chance:
                moves.append((speaker, label))

        claimed = CLAIM_STATEMENT.get(truth.claim)
        if claimed is not None:
            moves.append((buyer, claimed))
            maybe(0.4, buyer, claimed)
        if truth.cause == "change_of_mind":
            maybe(0.8, buyer, StatementLabel.CHANGED_MIND)
        maybe(0.8 if truth.shows else 0.05, buyer, StatementLabel.FILES_EVIDENCE)
        maybe(0.15 if truth.shows else 0.6, seller, StatementLabel.ASKS_EVIDENCE)
        maybe(0.5, buyer, None)
        if truth.buyer_admits:
            moves.append((buyer, StatementLabel.ADMITS_USE_OR_FAULT))
        if truth.seller_admits:
            moves.append((seller, StatementLabel.ADMITS_FAULT))
        else:
            maybe(0.65 if truth.seller_rebuts else 0.3, seller, StatementLabel.DENIES_FAULT)
        maybe(0.5 if truth.cause == "carrier" else 0.08, seller, StatementLabel.BLAMES_CARRIER)
        maybe(0.5 if truth.cause == "buyer" else 0.15, seller, StatementLabel.BLAMES_BUYER)
        maybe(0.6, seller, None)
        if truth.agreed is not None:
            moves += [(seller, _OFFER_OF[truth.agreed]), (buyer, StatementLabel.ACCEPTS_OFFER)]
            maybe(0.4, buyer, StatementLabel.CHANGED_MIND)
        elif not truth.seller_silent:
            maybe(0.35 if truth.cause == "seller" else 0.15, seller, StatementLabel.OFFERS_PARTIAL)
            maybe(0.65, seller, StatementLabel.REFUSES)
        maybe(0.06, buyer, StatementLabel.ABUSIVE)
        maybe(0.4, buyer, None)
        return moves

    def _timeline(self, start: datetime) -> list[ProcedureEvent]:
        truth = self.truth
        kinds = ProcedureEventKind
        steps: list[tuple[ProcedureEventKind, Literal["buyer", "seller", "platform"], str | None]] = [
            (kinds.REFUND_APPLIED, "buyer", None)
        ]
        if truth.seller_silent and truth.agreed is None:
            steps.append((kinds.DEADLINE_MISSED, "seller", None))
        elif truth.claim == Claim.RETURN_NOT_REFUNDED or (truth.agreed and self.rng.random() < 0.2):
            steps.append((kinds.AGREED, "seller", None))
        else:
            steps.append((kinds.REFUSED, "seller", None))
        steps.append((kinds.PLATFORM_STEPPED_IN, "buyer", None))
        if truth.asked_of is not None:
            steps.append((kinds.EVIDENCE_REQUESTED, "platform", self.phrases[f"ask_{truth.asked_of}"]))
            asked: tuple[Literal["buyer", "seller"], ...] = (
                ("buyer", "seller") if truth.asked_of == "both" else (truth.asked_of,)
            )
            if truth.answer != "open":
                kind = kinds.EVIDENCE_FILED if truth.answer == "filed" else kinds.DEADLINE_MISSED
                steps += [(kind, party, None) for party in asked]
        return [
            ProcedureEvent(at=start + timedelta(hours=1 + 12 * place), event=kind, by=by, note=note)
            for place, (kind, by, note) in enumerate(steps)
        ]
