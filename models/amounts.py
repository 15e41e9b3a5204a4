"""Refund amounts: the price paid, or the sum both sides named.

Reads sums of money out of messages and notes. A partial refund nobody named a sum for has no amount: a person sets it.
"""

import re

from models.evidence import CaseEvidence
from models.vocabulary import ProcedureEventKind, Ruling, Speaker, StatementLabel

_SUM = re.compile(
    r"(?:[¥￥$£€]|USD|GBP|EUR|AUD|CNY|RMB)\s*(?P<before>\d+(?:\.\d{1,2})?)"
    r"|(?P<after>\d+(?:\.\d{1,2})?)\s*(?:元|块钱?|块(?!\d)|USD|GBP|EUR|AUD|dollars|bucks|quid|pounds)"
    r"|(?P<yuan>\d+)块(?P<jiao>\d)(?!\d)",
    re.IGNORECASE,
)
_OFFERED = 0.5


def sums_minor(text: str | None) -> list[int]:
    """Return the sums of money named in `text`, in minor units, in order."""
    found = []
    for match in _SUM.finditer(text or ""):
        if match["yuan"]:
            found.append(int(match["yuan"]) * 100 + int(match["jiao"]) * 10)
        else:
            found.append(round(float(match["before"] or match["after"]) * 100))
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
    """Return the sums the seller offered, in order: those of the procedure, then those of the chat."""
    case = evidence.case
    offers = [event.note for event in case.timeline if event.event == ProcedureEventKind.OFFER]
    texts = {message.message_id: message.text for message in case.chat}
    said = [
        texts[statement.ref]
        for statement, _, probability in evidence.said(StatementLabel.OFFERS_PARTIAL, by=Speaker.SELLER)
        if probability >= _OFFERED and statement.ref in texts
    ]
    return [sum_ for text in [*offers, *said] for sum_ in sums_minor(text)]
