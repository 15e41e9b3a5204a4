"""The dispute and everything said about it: cases, suggestions, decisions, outcomes.

A machine makes a `Suggestion`; a person makes a `Decision`. Money is an integer in minor units with an ISO 4217
currency; times are aware. Every type is frozen and refuses unknown keys. Knows nothing of storage, of the web or of
how anything is scored.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from models.errors import CaseFormatError
from models.fields import Count as Count
from models.fields import Currency as Currency
from models.fields import Frozen as Frozen
from models.fields import Identifier as Identifier
from models.fields import Money as Money
from models.fields import Probability as Probability
from models.fields import RelativePath as RelativePath
from models.fields import ShortText as ShortText
from models.fields import Text as Text
from models.vocabulary import (
    AbstainReason,
    Claim,
    DocumentKind,
    GoodsState,
    LogisticsEventKind,
    Party,
    PhotoRole,
    Platform,
    ProcedureEventKind,
    Responsible,
    Ruling,
    SignedBy,
    Speaker,
    Stage,
    StatementLabel,
)


class Listing(Frozen):
    """What was promised on the page."""

    title: Text = ""
    description: Text = ""
    category: ShortText = ""
    attributes: dict[ShortText, ShortText] = Field(default_factory=dict, max_length=200)

    @property
    def text(self) -> str:
        """All words of the page in one text."""
        attributes = " ".join(f"{name} {value}" for name, value in self.attributes.items())
        return f"{self.title}\n{self.description}\n{self.category.replace('_', ' ')}\n{attributes}"


class Order(Frozen):
    order_id: Identifier
    buyer_id: Identifier
    seller_id: Identifier
    paid_minor: Money
    currency: Currency
    quantity: Count = 1
    paid_at: AwareDatetime | None = None
    receipt_confirmed_at: AwareDatetime | None = None
    goods_state: GoodsState


class LogisticsEvent(Frozen):
    at: AwareDatetime
    event: LogisticsEventKind
    by: SignedBy | None = None
    note: Text | None = None


class ProcedureEvent(Frozen):
    at: AwareDatetime
    event: ProcedureEventKind
    by: Literal["buyer", "seller", "platform", "system"] | None = None
    note: Text | None = None


class ChatMessage(Frozen):
    message_id: Identifier
    at: AwareDatetime
    speaker: Speaker
    text: Text
    photo_ids: tuple[Identifier, ...] = ()


class Photo(Frozen):
    """A photo as filed; its bytes travel apart and are known by their digest."""

    photo_id: Identifier
    role: PhotoRole
    filed_by: Party
    path: RelativePath | None = None
    taken_at: AwareDatetime | None = None


class Document(Frozen):
    document_id: Identifier
    kind: DocumentKind
    filed_by: Party
    note: Text | None = None


def _out_of_order(times: Sequence[datetime]) -> int | None:
    return next((i for i in range(1, len(times)) if times[i] < times[i - 1]), None)


class Case(Frozen):
    """One dispute over one order line, known by (platform, case_id)."""

    case_id: Identifier
    platform: Platform
    opened_at: AwareDatetime
    claim: Claim
    requested: Literal["refund", "return_and_refund", "partial_refund", "replace"]
    buyer_statement: Text = ""
    seller_statement: Text = ""
    listing: Listing
    order: Order
    logistics: tuple[LogisticsEvent, ...] = Field(default=(), max_length=1_000)
    timeline: tuple[ProcedureEvent, ...] = Field(default=(), max_length=1_000)
    chat: tuple[ChatMessage, ...] = Field(default=(), max_length=10_000)
    photos: tuple[Photo, ...] = Field(default=(), max_length=200)
    documents: tuple[Document, ...] = Field(default=(), max_length=200)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("logistics", "timeline", "chat"):
            place = _out_of_order([event.at for event in getattr(self, name)])
            if place is not None:
                raise ValueError(f"{name}.{place}.at: is earlier than the entry before it")
        for name, key in (("chat", "message_id"), ("photos", "photo_id"), ("documents", "document_id")):
            seen: set[str] = set()
            for place, item in enumerate(getattr(self, name)):
                if getattr(item, key) in seen:
                    raise ValueError(f"{name}.{place}.{key}: {getattr(item, key)!r} occurs twice")
                seen.add(getattr(item, key))
        known = {photo.photo_id for photo in self.photos}
        for place, message in enumerate(self.chat):
            for photo_id in message.photo_ids:
                if photo_id not in known:
                    raise ValueError(f"chat.{place}.photo_ids: {photo_id!r} is not among the photos")
        return self


def parse_case(data: bytes | str | dict[str, Any], *, source: str | None = None) -> Case:
    """Return the case in `data`, JSON text or an already decoded object.

    Raises CaseFormatError naming every wrong field.
    """
    try:
        decoded = data if isinstance(data, dict) else json.loads(data)
        return Case.model_validate_json(json.dumps(decoded), strict=True)
    except ValidationError as error:
        raise CaseFormatError(_problems(error), source=source) from error
    except RecursionError as error:
        raise CaseFormatError([("case", "is nested too deeply")], source=source) from error
    except (ValueError, UnicodeError) as error:
        raise CaseFormatError([("case", f"is not valid JSON: {error}")], source=source) from error


def _problems(error: ValidationError) -> list[tuple[str, str]]:
    found = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        field, message = ".".join(str(part) for part in item["loc"]), item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown key"
        elif item["type"] == "missing":
            message = "is required"
        elif not field and ": " in message:
            field, message = message.split(": ", 1)
        found.append((field or "case", message))
    return found


class StatementEvidence(Frozen):
    """A chat message that moved the suggestion; `spans` are [start, end) characters of its text."""

    kind: Literal["statement"] = "statement"
    ref: str
    label: StatementLabel
    probability: Probability
    effect: float
    favours: Party
    spans: tuple[tuple[int, int], ...] = ()


class PhotoEvidence(Frozen):
    """A photo that moved the suggestion; `region` is x0, y0, x1, y1 in pixels of the upright photo."""

    kind: Literal["photo"] = "photo"
    ref: str
    label: Literal["damaged", "intact"]
    probability: Probability
    effect: float
    favours: Party
    region: tuple[int, int, int, int] | None = None
    out_of_distribution: bool = False


class ListingMatchEvidence(Frozen):
    """Listing photo against received photo."""

    kind: Literal["listing_match"] = "listing_match"
    ref: tuple[str, str]
    label: Literal["mismatch", "match"]
    probability: Probability
    effect: float
    favours: Party


class FactEvidence(Frozen):
    """A fact of the order, the logistics record, the procedure, a document or the page."""

    kind: Literal["fact"] = "fact"
    ref: str
    label: str
    effect: float
    favours: Party


Evidence = Annotated[
    StatementEvidence | PhotoEvidence | ListingMatchEvidence | FactEvidence, Field(discriminator="kind")
]


class LedgerStep(Frozen):
    """One step of the burden of proof: who must prove what, whether they did, and by which evidence."""

    step: int
    party: Party
    must_prove: str
    status: Literal["met", "unmet", "open", "not_reached"]
    evidence: tuple[str, ...] = ()


class RequestText(Frozen):
    zh: Text
    en: Text


class MissingEvidence(Frozen):
    """An absent item that would most change the ruling; `gain` is the total-variation distance it may move."""

    party: Party
    what: str
    gain: Probability
    request_text: RequestText


class Remedy(Frozen):
    """What the ruling orders. Money null where nothing is refunded or the amount is not yet decided."""

    refund_minor: Money | None = None
    outbound_freight: Literal["buyer", "seller", "carrier"] | None = None
    return_freight: Literal["buyer", "seller", "carrier"] | None = None


class Suggestion(Frozen):
    """What the machine proposes. Never a decision."""

    schema_version: Literal[1] = 1
    suggestion_id: str
    case_id: str
    created_at: AwareDatetime
    model_version: str
    rule_pack: str
    calibrated_on: Literal["simulated", "outcomes"]
    input_digest: str
    ruling: Ruling | None
    confidence: Probability
    probabilities: dict[Ruling, Probability]
    prediction_set: tuple[Ruling, ...]
    alpha: Probability
    abstained: bool
    abstain_reason: AbstainReason | None = None
    responsible: Responsible
    remedy: Remedy
    evidence: tuple[Evidence, ...]
    ledger: tuple[LedgerStep, ...]
    missing_evidence: tuple[MissingEvidence, ...]

    @property
    def likeliest(self) -> Ruling:
        """The ruling of highest probability, abstained or not."""
        return max(self.probabilities, key=lambda ruling: self.probabilities[ruling])


class EvidenceAsk(Frozen):
    """What a decision that asks for evidence asks for, and of whom."""

    party: Party
    what: ShortText = ""
    text: RequestText


class EvidenceAsked(EvidenceAsk):
    """The same with the deadline that the rule pack's clock gives; null where the pack sets none."""

    due_at: AwareDatetime | None = None


class DecisionDraft(Frozen):
    """What an arbitrator sends: a ruling, its remedy and reason, and what was on the screen.

    `suggestion_id` is the suggestion that was on screen, null when there was none; one that the service showed to the
    same person on this version counts as named. What `responsible` and `remedy` leave out is composed: as suggested
    where the ruling is the suggested one, else as the rules order; null within `remedy` says none. `request` goes with
    `request_evidence`, by default the first that may be asked for. `distinguishes` is required where comparable cases
    were all ruled otherwise, and only there. `review_seconds` is the client's count.
    """

    ruling: Ruling
    stage: Stage = Stage.FIRST_REVIEW
    suggestion_id: Identifier | None = None
    responsible: Responsible | None = None
    remedy: Remedy | None = None
    reason: Text = ""
    request: EvidenceAsk | None = None
    distinguishes: Text = ""
    review_seconds: Annotated[float, Field(ge=0, le=86_400 * 30)] | None = None


class Decision(Frozen):
    """A person's ruling on a version of a case. Append-only; a withdrawal is an event of its own.

    blind : made before anybody had seen what the machine says of the case
    four_eyes : a first ruling that a lead must review before it counts
    """

    decision_id: str
    case_id: str
    platform: Platform
    case_version: int
    stage: Stage
    ruling: Ruling
    responsible: Responsible
    remedy: Remedy
    reason: str
    decided_by: Identifier
    decided_at: AwareDatetime
    suggestion_id: str | None
    suggestion_shown: bool
    agreed: bool | None
    model_version: str | None
    input_digest: str | None
    review_seconds: float | None
    blind: bool = False
    four_eyes: bool = False
    request: EvidenceAsked | None = None
    distinguishes: str = ""


class Outcome(Frozen):
    """A labelled outcome, from our desk or elsewhere. Only `case_id` and `ruling` are required.

    suggestion_shown : whether the machine's suggestion was on screen when `ruling` was given; null where nobody knows,
        or where only one on an earlier version of the case was
    overturned_on_appeal, changed_on_lead_review : null where there was no appeal, or no lead's review
    blind_ruling : the first ruling committed before any suggestion was shown, whatever was ruled later
    """

    case_id: Identifier
    platform: Platform | None = None
    ruling: Ruling
    responsible: Responsible | None = None
    outbound_freight: Literal["buyer", "seller", "carrier"] | None = None
    return_freight: Literal["buyer", "seller", "carrier"] | None = None
    refund_minor: Money | None = None
    decided_by: ShortText | None = None
    decided_at: AwareDatetime | None = None
    why: Text | None = None
    difficulty: Literal["clear", "arguable"] | None = None
    suggestion_id: str | None = None
    suggestion_shown: bool | None = None
    agreed: bool | None = None
    review_seconds: float | None = None
    overturned_on_appeal: bool | None = None
    stage: Stage | None = None
    changed_on_lead_review: bool | None = None
    blind_ruling: Ruling | None = None
    model_version: str | None = None
