"""Masking of personal data before text leaves the service: numbers that identify or reach a person.

Phone, identity and bank card numbers, e-mail addresses, and what follows the usual words for a name or an address.
Names that nothing announces are not found. Knows nothing of storage.
"""

import hashlib
import re
from typing import TypeVar

from models.domain import Case, Document, LogisticsEvent, ProcedureEvent

Noted = TypeVar("Noted", LogisticsEvent, ProcedureEvent, Document)

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}", re.ASCII), "[email]"),
    (re.compile(r"(?<!\d)\d{6}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dXx](?!\d)"), "[id]"),
    (re.compile(r"(?<!\d)(?:\d[ -]?){15,18}\d(?!\d)"), "[card]"),
    (re.compile(r"(?<!\d)(?:\+?86[ -]?)?1[3-9]\d(?:[ -]?\d{4}){2}(?!\d)"), "[phone]"),
    (re.compile(r"(?<!\d)0\d{2,3}[ -]\d{7,8}(?!\d)"), "[phone]"),
    (re.compile(r"(?<![\d+])(?:\+?\d{1,3}[ -])?\(?\d{3}\)?[ -]\d{3}[ -]\d{4}(?!\d)"), "[phone]"),
    (re.compile(r"((?:收货人|收件人|联系人|姓名|户名)(?:是|为)?\s*[:：]?\s*)[\u4e00-\u9fff·]{2,4}"), r"\1[name]"),
    (re.compile(r"((?:地址)(?:是|为)?\s*[:：]?\s*)[^\s,，。;；!！?？]{4,60}"), r"\1[address]"),
    (re.compile(r"((?i:my name is|recipient:?|consignee:?)\s+)[A-Z][a-z]+(?: [A-Z][a-z]+){0,2}"), r"\1[name]"),
    (
        re.compile(r"\b\d{1,5} (?:[A-Z][a-z]+ ){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Court|Ct)\b"),
        "[address]",
    ),
)


def mask(text: str) -> str:
    """Return `text` with personal data replaced by a word in brackets for what it was."""
    for pattern, word in _PATTERNS:
        text = pattern.sub(word, text)
    return text


def pseudonym(kind: str, name: str, *, platform: str) -> str:
    """Return a stable stand-in for a name or id, equal for equal names on one platform."""
    return f"{kind}-{hashlib.sha256(f'{platform}/{kind}/{name}'.encode()).hexdigest()[:12]}"


def masked_case(case: Case) -> Case:
    """Return the case with every text masked and the ids of order and parties replaced."""
    order = case.order
    return case.model_copy(
        update={
            "buyer_statement": mask(case.buyer_statement),
            "seller_statement": mask(case.seller_statement),
            "order": order.model_copy(
                update={
                    "order_id": pseudonym("o", order.order_id, platform=case.platform),
                    "buyer_id": pseudonym("b", order.buyer_id, platform=case.platform),
                    "seller_id": pseudonym("s", order.seller_id, platform=case.platform),
                }
            ),
            "chat": tuple(message.model_copy(update={"text": mask(message.text)}) for message in case.chat),
            "logistics": tuple(_masked_note(event) for event in case.logistics),
            "timeline": tuple(_masked_note(event) for event in case.timeline),
            "documents": tuple(_masked_note(document) for document in case.documents),
        }
    )


def _masked_note(item: Noted) -> Noted:
    return item.model_copy(update={"note": mask(item.note)}) if item.note else item
