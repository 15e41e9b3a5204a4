"""Refund amounts: the price paid, or the last sum that the seller offered.

Reads sums of money out of messages and notes. A partial refund nobody named a sum for has no amount: a person sets it.
"""

import re

from models.evidence import CaseEvidence
from models.money import minor_of
from models.vocabulary import ProcedureEventKind, Ruling, Speaker, StatementLabel

_NUMBER = r"(?<![\d.,])(?:\d{1,3}(?:,\d{3}){1,3}|\d{1,10})(?:\.\d{1,2})?"
_CODE = "USD|GBP|EUR|AUD|CAD|HKD|JPY|KRW|CNY|RMB"
_WORD = "dollars|bucks|quid|pounds|yen"
_SUM = re.compile(
    rf"(?:[¥￥$£€₩]|(?<![A-Za-z])(?:{_CODE}))\s{{0,3}}(?P<before>{_NUMBER})(?![\d.]*\d)"
    rf"|(?P<yuan>{_NUMBER})块(?P<jiao>\d)(?!\d)"
    rf"|(?P<after>{_NUMBER})\s{{0,3}}(?:[元块円]|日元|(?:{_CODE}|{_WORD})(?![A-Za-z]))",
    re.IGNORECASE,
)
_OFFERED = 0.5


def sums_minor(text: str | None, currency: str) -> list[int]:
    """Return the sums of money named in `text`, in minor units of `currency`, in order."""
    found = []
    for match in _SUM.finditer(text or ""):
        number = match["yuan"] or match["before"] or match["after"]
        found.append(minor_of(number, currency) + minor_of(f"0.{match['jiao'] or 0}", currency))
    return found


def refund_amount(evidence: CaseEvidence, ruling: Ruling) -> int | None:
    """Return what `ruling` refunds, in minor units; None where nothing is refunded or no sum is known."""
    paid = evidence.case.order.paid_minor
    if ruling in (Ruling.REFUND, Ruling.RETURN_AND_REFUND):
        return paid
    if ruling != Ruling.PARTIAL_REFUND:
        return None
    named = [sum_ for sum_ in _offered_sums(evidence) if 0 < sum_ < paid]
    return named[-1] if named else None


def _offered_sums(evidence: CaseEvidence) -> list[int]:
    """Return the sums the seller offered in the procedure and the chat, in time order."""
    case = evidence.case
    offers = [
        (event.at, event.note)
        for event in case.timeline
        if event.event == ProcedureEventKind.OFFER and event.by in ("seller", None)
    ]
    messages = {message.message_id: message for message in case.chat}
    offers += [
        (messages[statement.ref].at, messages[statement.ref].text)
        for statement, _, _ in evidence.said(StatementLabel.OFFERS_PARTIAL, by=Speaker.SELLER, at_least=_OFFERED)
        if statement.ref in messages
    ]
    in_order = sorted(offers, key=lambda offer: offer[0])
    return [sum_ for _, text in in_order for sum_ in sums_minor(text, case.order.currency)]
