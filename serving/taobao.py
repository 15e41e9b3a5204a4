"""Refunds as Taobao's open platform gives them → cases of the intake format.

Takes what `taobao.refund.get`, `taobao.refunds.receive.get` and `taobao.refund.messages.get` answer, bare or wrapped,
one JSON document or one refund a line. Only refunds that the platform has been asked to rule on become cases. The
platform gives no time of stepping in: the refund's last change stands in for it. Knows nothing of where cases go.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from models.domain import Case, parse_case
from models.errors import CaseFormatError
from models.fields import written_out
from models.vocabulary import Claim

REASONS_FILE = Path(__file__).with_name("taobao.yaml")
BEIJING = timezone(timedelta(hours=8))
_MAX_DOCUMENT_BYTES = 256_000_000
_MOST_MINOR = 10**12

# cs_status: the platform's part in a refund.
_OPEN = {"2": "asked to step in", "3": "stepped in", "4": "first review done", "5": "lead's review failed"}
_OPEN |= {"10": "gathering evidence"}
_NOT_OPEN = {
    "1": "the platform was not asked to step in",
    "6": "the platform's part is done",
    "7": "the request to step in was withdrawn",
    "8": "already ruled for the buyer",
    "9": "already ruled for the seller",
    "11": "already ruled, open to appeal",
}
_GOODS_STATE = {"BUYER_NOT_RECEIVED": "not_received", "BUYER_RECEIVED": "received", "BUYER_RETURNED_GOODS": "returned"}
_OVER = {"CLOSED": "the refund is closed", "SUCCESS": "the refund has been paid"}
_STATUSES = ("WAIT_SELLER_AGREE", "WAIT_BUYER_RETURN_GOODS", "WAIT_SELLER_CONFIRM_GOODS", "SELLER_REFUSE_BUYER", *_OVER)
_WRAPPINGS = ("refunds_receive_get_response", "refunds", "refund_get_response", "refund")
_MESSAGES = ("messages", "refund_messages", "refund_messages_get_response", "refund_message")
_ROLES = {"1": "buyer", "2": "seller", "3": "platform"}


def _moment(value: object) -> object:
    """Taobao's times bear no offset and are Beijing's."""
    if isinstance(value, str):
        return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
    return value


def _minor(value: object) -> object:
    """Taobao's amounts are yuan with two places."""
    try:
        amount = Decimal(str(value)) * 100
        is_amount = abs(amount) <= _MOST_MINOR
    except ArithmeticError:
        is_amount = False
    if not is_amount:
        raise ValueError("is no amount of yuan")
    if amount != amount.to_integral_value():
        raise ValueError("has more than two places")
    return int(amount)


Moment = Annotated[datetime, BeforeValidator(_moment)]
Minor = Annotated[int, BeforeValidator(_minor), Field(ge=0)]
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else str(value))]


class _Foreign(BaseModel):
    """What others define: keys that we don't use are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Picture(_Foreign):
    url: str


class RefundMessage(_Foreign):
    """owner_role : 1 buyer, 2 seller, 3 the platform's staff"""

    id: Text = Field(min_length=1)
    owner_role: Text
    content: Text = ""
    created: Moment
    pic_urls: tuple[_Picture, ...] = ()


class Refund(_Foreign):
    """total_fee is what the buyer paid: refund_fee of it goes back, payment stays with the seller."""

    refund_id: Text = Field(min_length=1)
    tid: Text = Field(min_length=1)
    buyer_nick: Text = ""
    seller_nick: Text = ""
    title: Text = ""
    num: int = Field(1, ge=1)
    payment: Minor | None = None
    total_fee: Minor | None = None
    refund_fee: Minor | None = None
    status: str
    cs_status: Text
    good_status: str
    has_good_return: bool = False
    reason: Text = ""
    desc: Text = ""
    created: Moment
    modified: Moment
    good_return_time: Moment | None = None
    sid: Text = ""
    messages: tuple[RefundMessage, ...] = ()


@dataclass(frozen=True)
class Imported:
    """A case, or why there is none. place : 1-based line, or place in the document's list"""

    place: int
    case_id: str | None
    case: Case | None
    reason: str = ""


@cache
def claims_of_reasons() -> tuple[tuple[Claim, tuple[str, ...]], ...]:
    """Return the words of each claim, in the order they are tried."""
    content = TypeAdapter(list[dict[str, Any]]).validate_python(yaml.safe_load(REASONS_FILE.read_text("utf-8")))
    return tuple((Claim(entry["claim"]), tuple(entry["words"])) for entry in content)


def import_refunds(path: Path) -> Iterator[Imported]:
    """Yield what becomes of each refund in the file, in order. Raises CaseFormatError, OSError."""
    seen: dict[str, int] = {}
    for place, content, problem in _refunds(path):
        imported = Imported(place, None, None, problem) if problem else import_refund(content, place=place)
        if imported.case is not None:
            first = seen.setdefault(imported.case.case_id, place)
            if first != place:
                reason = f"refund {imported.case_id} already stands at {first}"
                imported = Imported(place, imported.case_id, None, reason)
        yield imported


def import_refund(content: Any, *, place: int = 1) -> Imported:
    """Return the case of one refund, or why there is none, naming field or code."""
    refund_id = written_out(str(content.get("refund_id") or ""))[:128] or None if isinstance(content, dict) else None
    try:
        refund = Refund.model_validate(_unwrapped(content))
        return Imported(place, refund.refund_id, parse_case(_case(refund)))
    except ValidationError as error:
        problems = [(".".join(map(str, item["loc"])) or "refund", item["msg"]) for item in error.errors()]
        reason = "; ".join(f"{field}: {message}" for field, message in problems)
    except (_NoCaseError, CaseFormatError) as error:
        reason = str(error)
    return Imported(place, refund_id, None, written_out(reason)[:1_000])


class _NoCaseError(ValueError):
    """A refund that is no open dispute, or bears a code that isn't known."""


def _case(refund: Refund) -> dict[str, Any]:
    for name, value, known in (
        ("status", refund.status, _STATUSES),
        ("cs_status", refund.cs_status, (*_OPEN, *_NOT_OPEN)),
        ("good_status", refund.good_status, tuple(_GOODS_STATE)),
    ):
        if value not in known:
            raise _NoCaseError(f"{name}: {value!r} is none of {', '.join(known)}")
    if refund.cs_status in _NOT_OPEN:
        raise _NoCaseError(f"cs_status: {refund.cs_status}, {_NOT_OPEN[refund.cs_status]}")
    if refund.status in _OVER:
        raise _NoCaseError(f"status: {refund.status}, {_OVER[refund.status]}")
    paid = _paid(refund)
    messages = sorted(refund.messages, key=lambda message: message.created)
    return {
        "case_id": refund.refund_id,
        "platform": "taobao",
        "opened_at": refund.modified.isoformat(),
        "claim": _claim(refund).value,
        "requested": _requested(refund, paid),
        "buyer_statement": refund.desc,
        "listing": {"title": refund.title},
        "order": {
            "order_id": refund.tid,
            "buyer_id": refund.buyer_nick or "unknown",
            "seller_id": refund.seller_nick or "unknown",
            "paid_minor": paid,
            "currency": "CNY",
            "quantity": refund.num,
            "goods_state": _GOODS_STATE[refund.good_status],
        },
        "logistics": _logistics(refund),
        "timeline": _timeline(refund),
        "chat": [_message(message) for message in messages],
        "photos": [photo for message in messages for photo in _photos(message)],
    }


def _paid(refund: Refund) -> int:
    """Return total_fee even where the other two don't add up to it: the platform may have split off fees."""
    paid = refund.total_fee
    if paid is None:
        if refund.payment is None or refund.refund_fee is None:
            raise _NoCaseError("total_fee: is required, or payment and refund_fee")
        paid = refund.payment + refund.refund_fee
    if refund.refund_fee is not None and refund.refund_fee > paid:
        raise _NoCaseError(f"refund_fee: {refund.refund_fee / 100:.2f} is more than total_fee, {paid / 100:.2f}")
    return paid


def _claim(refund: Refund) -> Claim:
    if refund.status == "WAIT_SELLER_CONFIRM_GOODS" and refund.good_status == "BUYER_RETURNED_GOODS":
        return Claim.RETURN_NOT_REFUNDED
    for claim, words in claims_of_reasons():
        if any(word in refund.reason for word in words):
            return claim
    if refund.good_status == "BUYER_NOT_RECEIVED":
        return Claim.NOT_RECEIVED
    raise _NoCaseError(f"reason: {refund.reason!r} holds no word of {REASONS_FILE.name}")


def _requested(refund: Refund, paid: int) -> str:
    if refund.has_good_return:
        return "return_and_refund"
    return "partial_refund" if refund.refund_fee is not None and refund.refund_fee < paid else "refund"


def _timeline(refund: Refund) -> list[dict[str, Any]]:
    events = [{"at": refund.created.isoformat(), "event": "refund_applied", "by": "buyer", "note": refund.reason}]
    later = max(refund.created, refund.modified).isoformat()
    if refund.status == "SELLER_REFUSE_BUYER":
        events.append({"at": later, "event": "refused", "by": "seller"})
    elif refund.status in ("WAIT_BUYER_RETURN_GOODS", "WAIT_SELLER_CONFIRM_GOODS"):
        events.append({"at": later, "event": "agreed", "by": "seller"})
    if refund.cs_status != "2":
        events.append({"at": later, "event": "platform_stepped_in", "by": "platform", "note": _OPEN[refund.cs_status]})
    return events


def _logistics(refund: Refund) -> list[dict[str, Any]]:
    if refund.good_return_time is None:
        return []
    return [{"at": refund.good_return_time.isoformat(), "event": "return_shipped", "note": refund.sid}]


def _message(message: RefundMessage) -> dict[str, Any]:
    if message.owner_role not in _ROLES:
        known = ", ".join(_ROLES)
        raise _NoCaseError(f"messages.{message.id}.owner_role: {message.owner_role!r} is none of {known}")
    return {
        "message_id": message.id,
        "at": message.created.isoformat(),
        "speaker": _ROLES[message.owner_role],
        "text": message.content,
        "photo_ids": [photo["photo_id"] for photo in _photos(message)],
    }


def _photos(message: RefundMessage) -> Iterator[dict[str, Any]]:
    """A buyer's pictures are taken to show what came; the platform's own are no evidence of a side."""
    sides = {"1": ("buyer", "received"), "2": ("seller", "other")}
    if message.owner_role not in sides:
        return
    filed_by, role = sides[message.owner_role]
    for number, picture in enumerate(message.pic_urls, start=1):
        yield {"photo_id": f"{message.id}-{number}", "role": role, "filed_by": filed_by, "path": picture.url}


def _refunds(path: Path) -> Iterator[tuple[int, Any, str]]:
    """Yield (place, refund, problem): a document's refunds, or a line's."""
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        with path.open("rb") as file:
            for line, data in enumerate(file, start=1):
                if data.strip():
                    yield (line, *_decoded(data))
        return
    if path.stat().st_size > _MAX_DOCUMENT_BYTES:
        raise CaseFormatError([("file", f"is over {_MAX_DOCUMENT_BYTES} bytes; give one refund a line (.jsonl)")])
    content, problem = _decoded(path.read_bytes())
    if problem:
        raise CaseFormatError([("file", problem)], source=path.name)
    for place, refund in enumerate(_listed(content), start=1):
        yield place, refund, ""


def _decoded(data: bytes) -> tuple[Any, str]:
    try:
        return json.loads(data.decode("utf-8-sig")), ""
    except (ValueError, RecursionError) as error:
        return None, f"is not valid JSON: {error}"


def _listed(content: Any) -> Iterable[Any]:
    """Return the refunds of an answer, whatever it is wrapped in; one with messages beside its refunds stays whole."""
    while isinstance(content, dict) and "refund_id" not in content and not _holding_messages(content):
        wrapped = next((content[key] for key in _WRAPPINGS if key in content), None)
        if wrapped is None:
            break
        content = wrapped
    return content if isinstance(content, list) else [content]


def _unwrapped(content: Any) -> Any:
    """Take the messages and their pictures out of the platform's wrapping."""
    content = next(iter(_listed(content)), content)
    if not isinstance(content, dict):
        return content
    outside = next((key for key in _MESSAGES if key in content), None)
    if outside and "refund_id" not in content:
        raise _NoCaseError(f"{outside}: no refund_id stands beside it; put it under its refund's messages")
    messages = _messages(content)
    if isinstance(messages, list):
        messages = [_with_pictures(message) for message in messages]
    return {**content, "messages": messages}


def _holding_messages(content: dict[str, Any]) -> list[str]:
    return [key for key in _MESSAGES if content.get(key) not in (None, {}, [])]


def _messages(content: dict[str, Any]) -> Any:
    """Return the refund's messages, whatever they are wrapped in; {} and a total of 0 mean none."""
    keys = _holding_messages(content)
    if len(keys) > 1:
        raise _NoCaseError(f"{keys[1]}: messages already stand under {keys[0]}")
    found = content[keys[0]] if keys else []
    if not isinstance(found, dict):
        return found
    n_told: Any = None
    while isinstance(found, dict) and "refund_message" not in found:
        n_told = found.get("total_results", n_told)
        nothing: Any = [] if n_told in (0, "0") or not found else None
        found = next((found[key] for key in _MESSAGES if found.get(key) is not None), nothing)
    found = found["refund_message"] if isinstance(found, dict) else found
    if not isinstance(found, list) or (not found and n_told not in (None, 0, "0")):
        raise _NoCaseError(f"{keys[0]}: holds no refund_message")
    return found


def _with_pictures(message: Any) -> Any:
    pictures = message.get("pic_urls") if isinstance(message, dict) else None
    if isinstance(pictures, dict):
        return {**message, "pic_urls": pictures.get("pic_url", pictures or ())}
    return message
