"""The decision's form: what each ruling would order in words, and the draft that a press makes.

Every ruling costs the same presses, whether the machine suggests it or not. Knows no store, nor what a
ruling orders.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from models.domain import DecisionDraft, EvidenceAsk, Remedy, RequestText
from models.errors import InputError
from models.money import minor_of
from models.vocabulary import Responsible, Ruling, Stage
from serving.desk_records import PossibleAsk
from serving.records import CaseView
from serving.remedy import asks, composed
from serving.web.rendering import checked
from serving.words import Words, money

REASONS = ("evidence", "burden", "agreement", "promise", "rule", "other")
_MAX_NOTE = 4_000
_A_DAY_S = 86_400.0
_MOST_MINOR = 10**12
_PAYERS = ("buyer", "seller", "carrier")


@dataclass(frozen=True)
class Offered:
    """What the form holds. orders : by ruling, in words. The rest are choices as (value, words), the default first.

    asks : what may be asked for, the likeliest to settle the case first
    """

    orders: dict[Ruling, str]
    asks: tuple[tuple[str, str], ...]
    payers: tuple[tuple[str, str], ...]
    responsibles: tuple[tuple[str, str], ...]


def offered(view: CaseView, t: Words) -> Offered:
    possible = tuple((ask.what, _in_words(ask, t)) for ask in asks(view.case, suggestion=view.suggestion))
    orders = {ruling: _order(view, ruling, t) for ruling in Ruling}
    orders[Ruling.REQUEST_EVIDENCE] = possible[0][1] if possible else ""
    return Offered(
        orders=orders,
        asks=possible,
        payers=(*((payer, t(f"party.{payer}")) for payer in _PAYERS), ("none", "—")),
        responsibles=tuple((who, t(f"responsible.{who}")) for who in Responsible),
    )


def draft_of(fields: dict[str, str], view: CaseView, t: Words, *, reason_required: bool) -> DecisionDraft:
    """Return the draft that the pressed form means; what wasn't edited is left out, to be composed.

    Raises InputError naming `reason`, `ruling`, `remedy.refund_minor` or `request` where it isn't whole.
    """
    ruling, reason = fields.get("ruling"), fields.get("reason", "")
    note = fields.get("note", "").strip()[:_MAX_NOTE]
    if ruling not in set(Ruling):
        raise InputError("is no ruling", field="ruling")
    if reason_required and not (reason in REASONS or note):
        raise InputError("is required", field="reason")
    chosen = [t(f"reason.{reason}")] if reason in REASONS and not (reason == "other" and note) else []
    stage = fields.get("stage", "")
    return checked(
        DecisionDraft,
        ruling=Ruling(ruling),
        stage=Stage(stage) if stage in set(Stage) else Stage.FIRST_REVIEW,
        suggestion_id=fields.get("suggestion_id") or None,
        responsible=_responsible(fields),
        remedy=_edited(fields, view.case.order.currency),
        reason="\n".join([*chosen, *([note] if note else [])]),
        request=_request(fields, view) if ruling == Ruling.REQUEST_EVIDENCE else None,
        distinguishes=fields.get("distinguishes", "").strip()[:_MAX_NOTE],
        review_seconds=_seconds_since(fields.get("opened_at", "")),
    )


def _in_words(ask: PossibleAsk, t: Words) -> str:
    return f"{t(f'party.{ask.party}')}{t.colon}{t('missing.' + ask.what.partition(':')[0])}"


def _order(view: CaseView, ruling: Ruling, t: Words) -> str:
    order = composed(view.case, ruling, suggestion=view.suggestion)
    said = [t("decide.fault").format(who=t(f"responsible.{order.responsible}"))]
    if order.remedy.refund_minor is not None:
        said.append(money(order.remedy.refund_minor, view.case.order.currency).replace(" ", "\N{NO-BREAK SPACE}"))
    elif ruling == Ruling.PARTIAL_REFUND:
        said.append(t("decide.sum_needed"))
    return " · ".join(said)


def _edited(fields: dict[str, str], currency: str) -> Remedy:
    """Return a remedy that says only what was typed or chosen."""
    said: dict[str, Any] = {}
    if sum_ := fields.get("refund", "").strip():
        said["refund_minor"] = _minor(sum_, currency)
    for name in ("outbound_freight", "return_freight"):
        payer = fields.get(name, "")
        if payer in _PAYERS or payer == "none":
            said[name] = payer if payer in _PAYERS else None
    return Remedy(**said)


def _responsible(fields: dict[str, str]) -> Responsible | None:
    named = fields.get("responsible", "")
    return Responsible(named) if named in set(Responsible) else None


def _request(fields: dict[str, str], view: CaseView) -> EvidenceAsk | None:
    """Return what was chosen or typed, None where neither was."""
    named, own = fields.get("ask", ""), fields.get("ask_text", "").strip()[:_MAX_NOTE]
    if not named and not own:
        return None
    ask = next((one for one in asks(view.case, suggestion=view.suggestion) if one.what == named), None)
    if ask is None:
        raise InputError("is nothing that may be asked for", field="request")
    return EvidenceAsk(party=ask.party, what=named, text=RequestText(zh=own, en=own) if own else ask.text)


def _minor(sum_: str, currency: str) -> int:
    try:
        value = minor_of(sum_, currency)
    except ValueError as error:
        raise InputError("is no sum", field="remedy.refund_minor") from error
    if not 0 <= value <= _MOST_MINOR:
        raise InputError("is no sum that could have been paid", field="remedy.refund_minor")
    return value


def _seconds_since(opened_at: str) -> float | None:
    """Return how long the page was open, at most a day; None where it doesn't say."""
    try:
        return min(max(0.0, datetime.now(UTC).timestamp() - float(opened_at)), _A_DAY_S)
    except (ValueError, OverflowError):
        return None
