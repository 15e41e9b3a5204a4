"""What the desk keeps besides decisions: corrections of the machine, holds, passes, notices, switches, figures.

These types are also the API's answers. Knows nothing of SQL or HTTP.
"""

import math
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from models.domain import Decision, EvidenceAsk, Frozen, Identifier, Probability, Remedy, ShortText, Text
from models.fields import Reason, Storable
from models.vocabulary import Claim, Party, Platform, Responsible, Ruling, StatementLabel

_Z = 1.959964
NoticeInOneLanguage = Annotated[Storable, Field(max_length=300_000)]
CorrectionKind = Literal["statement", "photo", "listing_match"]
Pixel = Annotated[int, Field(ge=0, lt=2**31)]
Region = tuple[Pixel, Pixel, Pixel, Pixel]


class CorrectionDraft(Frozen):
    """What the machine got wrong about one piece of evidence, and what is right.

    kind statement: `ref` is a message_id, buyer_statement or seller_statement; `label` holds there or doesn't
    kind photo: `ref` is a photo_id; `damaged` says what it shows, `region` (x0, y0, x1, y1 in pixels of the upright
        photo) where; a wrong region alone is `region_wrong`
    kind listing_match: `ref` is "listing photo_id|received photo_id"; `matches_listing` says whether they agree
    """

    kind: CorrectionKind
    ref: Annotated[Storable, Field(min_length=1, max_length=257)]
    label: StatementLabel | None = None
    holds: bool | None = None
    damaged: bool | None = None
    region: Region | None = None
    region_wrong: bool = False
    matches_listing: bool | None = None
    note: ShortText = ""

    @model_validator(mode="after")
    def _says_what_is_right(self) -> Self:
        """Refuse a correction that says nothing, or something that its kind can't say."""
        said = {
            "statement": self.label is not None and self.holds is not None,
            "photo": self.damaged is not None or self.region is not None or self.region_wrong,
            "listing_match": self.matches_listing is not None,
        }
        wanted = {"statement": "label and holds", "photo": "damaged, region or region_wrong"}
        for kind, present in said.items():
            if kind == self.kind and not present:
                raise ValueError(f"kind: {kind} needs {wanted.get(kind, 'matches_listing')}")
            if kind != self.kind and present:
                raise ValueError(f"kind: {self.kind} can't say {wanted.get(kind, 'matches_listing')}")
        if self.region is not None and (self.region[0] >= self.region[2] or self.region[1] >= self.region[3]):
            raise ValueError("region: is empty; x0 < x1 and y0 < y1")
        return self


class Correction(Frozen):
    """A correction on record. machine_probability : what the suggestion said of it, null where it said nothing"""

    correction_id: str
    platform: Platform
    case_id: Identifier
    case_version: int
    suggestion_id: str | None
    said: CorrectionDraft
    machine_probability: Probability | None = None
    corrected_by: Identifier
    corrected_at: AwareDatetime
    withdrawn_at: AwareDatetime | None = None


class SwitchDraft(Frozen):
    """What to switch off: a claim, a platform, one on the other, or everything where both are null."""

    claim: Claim | None = None
    platform: Platform | None = None
    reason: Reason


class Switch(Frozen):
    """A kill switch: while it isn't ended, no suggestion of that kind is shown or computed."""

    switch_id: str
    claim: Claim | None
    platform: Platform | None
    reason: str
    switched_off_by: str
    switched_off_at: AwareDatetime
    ended_by: str | None = None
    ended_at: AwareDatetime | None = None

    def covers(self, *, claim: str, platform: str) -> bool:
        """Return whether suggestions on such a case are switched off by this."""
        return self.ended_at is None and self.claim in (None, claim) and self.platform in (None, platform)


class NoticeText(Frozen):
    """What both parties are told, in both languages: room for the longest case and the longest reason."""

    zh: NoticeInOneLanguage
    en: NoticeInOneLanguage


class Notice(Frozen):
    """A notice (处理结果) of one decision, sent at `send_after`, when the undo window is over, or before by hand."""

    notice_id: str
    decision_id: str
    text: NoticeText
    state: Literal["draft", "sent", "void"]
    send_after: AwareDatetime
    edited_by: str | None = None
    edited_at: AwareDatetime | None = None
    sent_at: AwareDatetime | None = None


class StepAsideDraft(Frozen):
    """Why one skips a case, or recuses oneself from it (回避)."""

    reason: Reason


class AppealDraft(Frozen):
    """Who appeals a decided case, and why (申诉)."""

    filed_by: Party
    reason: Text = ""


class Appeal(Frozen):
    platform: Platform
    case_id: Identifier
    filed_by: Party
    reason: str
    noted_by: str
    filed_at: AwareDatetime


class ComposedRuling(Frozen):
    """What a ruling orders. A refund of null is none, or a partial one whose sum the decision must name."""

    ruling: Ruling
    responsible: Responsible
    remedy: Remedy


class PossibleAsk(EvidenceAsk):
    """Evidence that may be asked for. suggested : the machine says that it would settle the case"""

    suggested: bool


class Remedies(Frozen):
    """What each ruling orders unless the decision says otherwise, and what may be asked for, the default first."""

    rulings: tuple[ComposedRuling, ...]
    asks: tuple[PossibleAsk, ...]


class Precedent(Frozen):
    """An earlier ruling on a comparable case under the same rules.

    case_id, title : null where the case is outside the reader's queues
    likeness : of the facts, in [0, 1]
    """

    platform: Platform
    case_id: Identifier | None
    title: str | None
    ruling: Ruling
    decided_at: AwareDatetime
    likeness: Probability


class Precedents(Frozen):
    """The nearest earlier rulings; `usual` is what they all say, null where they differ or are too few."""

    nearest: tuple[Precedent, ...]
    usual: Ruling | None = None


class Share(Frozen):
    """A share of n with its 95 % Wilson interval; null where there is nothing to count."""

    value: Probability | None = None
    low: Probability | None = None
    high: Probability | None = None
    n: int

    @classmethod
    def of(cls, outcomes: Iterable[bool]) -> Self:
        """Return the share of outcomes that are true."""
        told = list(outcomes)
        n = len(told)
        if not n:
            return cls(n=0)
        value = sum(told) / n
        middle = (value + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z * math.sqrt(value * (1 - value) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
        return cls(value=value, low=max(0.0, middle - half), high=min(1.0, middle + half), n=n)


class PersonFigures(Frozen):
    """upheld : share of this person's first rulings that a review or an appeal by somebody else kept"""

    name: str
    n_decisions: int
    override_rate: Share
    upheld: Share
    median_seconds: float | None


class Figures(Frozen):
    """What a lead looks at. Right is what somebody else ruled later on the same case, on review or appeal.

    override_rate : of decisions with the suggestion on screen, how many differ from it
    blind_disagreement : of decisions made blind, how many differ from the suggestion nobody had seen
    rubber_stamping : people override far less often than they disagree when blind
    """

    since: AwareDatetime
    n_cases: int
    person_alone: Share
    person_with_machine: Share
    machine_alone: Share
    override_rate: Share
    blind_disagreement: Share
    rubber_stamping: bool
    wrongly_for_buyer: Share
    wrongly_for_seller: Share
    consistency: Share
    people: tuple[PersonFigures, ...]


class DecisionRow(Frozen):
    """A decision with where it stands. row : its place in the log"""

    row: int
    claim: Claim
    state: Literal["standing", "withdrawn", "answered"]
    decision: Decision


class Pass(Frozen):
    """A skip or a recusal, and why."""

    platform: Platform
    case_id: Identifier
    kind: Literal["skip", "recusal"]
    reason: str
    by: str
    at: AwareDatetime


class AssignmentDraft(Frozen):
    """Which waiting cases to deal to whom.

    at_most_each : open cases that one person may have assigned in all, those from before too
    preview : say what would happen and change nothing
    """

    people: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=200)]
    claim: Claim | None = None
    platform: Platform | None = None
    language: Literal["zh", "en"] | None = None
    at_most: Annotated[int, Field(ge=1, le=5_000)] = 50
    at_most_each: Annotated[int, Field(ge=1, le=5_000)] = 100
    preview: bool = True


class Assigned(Frozen):
    platform: Platform
    case_id: Identifier
    to: str


class Assignment(Frozen):
    """What was dealt; batch_id undoes it, null for a preview."""

    batch_id: str | None
    assigned: tuple[Assigned, ...]


FilterName = Literal["claim", "platform", "status", "language", "overdue", "search", "min", "max", "order", "mine"]
"""What the queue's page can be narrowed by; `min` and `max` are sums in major units, `overdue` and `mine` are "1"."""


class ViewDraft(Frozen):
    """The filters of a saved view, as in the address of the queue's page."""

    filters: dict[FilterName, Annotated[ShortText, Field(min_length=1, max_length=128)]]


class SavedView(ViewDraft):
    """One's own view of the queue, under a name of one's own."""

    name: Identifier


class ShortcutsDraft(Frozen):
    """One's own keys by action, as `KeyboardEvent.code`; what isn't named keeps its default."""

    keys: dict[ShortText, ShortText]


class Shortcuts(Frozen):
    """Every action's key."""

    keys: dict[str, str]
