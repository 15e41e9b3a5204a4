"""Personal data in text: found, masked before it leaves the service, and given back only with a key.

Telephone, identity and bank card numbers, e-mail addresses, postal addresses, and names that a word announces. What it
misses, measured: docs/privacy.md. Names that nothing announces, and what a photo shows, are not masked. Knows nothing
of storage, logs or settings.
"""

import base64
import hashlib
import hmac
import re
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from models.domain import Case, Decision, Document, Listing, LogisticsEvent, ProcedureEvent
from models.errors import InputError
from models.personal_addresses import personal_addresses
from models.personal_names import personal_names
from models.personal_numbers import Personal, PersonalKind, personal_numbers

Noted = TypeVar("Noted", LogisticsEvent, ProcedureEvent, Document)

_MASKED = re.compile(r"\[(?P<kind>phone|id|card|email|name|address)(?::(?P<sealed>[\w-]{22,}))?\]")
_ASCII = (
    {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    | dict.fromkeys((0x3000, 0xA0, *range(0x2002, 0x200B), 0x202F), 0x20)
    | dict.fromkeys((*range(0x2010, 0x2016), 0x2212), 0x2D)
)
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_KEY_BYTES = 32


class Sealer:
    """Turns masked values into tokens that only the same key opens.

    key : 64 hexadecimal digits. Equal values of a kind give equal tokens, so that a person can be followed through an
    export without being known; that two tokens are equal is all they tell. AES-SIV, RFC 5297.
    Raises InputError on another key.
    """

    def __init__(self, key: str) -> None:
        if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * _KEY_BYTES}}}", key):
            raise InputError(f"must be {2 * _KEY_BYTES} hexadecimal digits", field="privacy_key")
        secret = bytes.fromhex(key)
        self._cipher = AESSIV(secret)
        self._naming_key = hmac.digest(secret, b"pseudonyms", "sha256")

    def seal(self, kind: PersonalKind, value: str) -> str:
        sealed = self._cipher.encrypt(value.encode("utf-8", "replace"), [kind.encode()])
        return f"[{kind}:{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}]"

    def unseal(self, text: str) -> str:
        """Return the text with every token replaced by what it stands for; words without a token stay.

        Raises InputError when a token was made with another key or altered.
        """
        return _MASKED.sub(self._value, text)

    def pseudonym(self, kind: str, name: str, *, platform: str) -> str:
        digest = hmac.digest(self._naming_key, f"{platform}/{kind}/{name}".encode(), "sha256")
        return f"{kind}-{digest.hex()[:12]}"

    def _value(self, found: re.Match[str]) -> str:
        if found["sealed"] is None:
            return found[0]
        try:
            sealed = base64.urlsafe_b64decode(found["sealed"] + "=" * (-len(found["sealed"]) % 4))
            return self._cipher.decrypt(sealed, [found["kind"].encode()]).decode("utf-8")
        except (InvalidTag, ValueError) as error:
            raise InputError(f"the token of a masked {found['kind']} doesn't open with this key") from error


def find_personal(text: str) -> list[Personal]:
    """Return personal data in order of place, none overlapping; where two kinds claim a place, the surer one has it.

    Every blank counts as one, every dash as one, and characters that don't show as none.
    """
    shown = [place for place, character in enumerate(text) if not _UNSEEN.match(character)]
    plain = _UNSEEN.sub("", text).translate(_ASCII)
    plain = _MASKED.sub(lambda found: "\n" * len(found[0]), plain)
    numbers = list(personal_numbers(plain))
    phones = [item for item in numbers if item.kind == "phone"]
    kept: list[Personal] = []
    for item in (*numbers, *personal_addresses(plain), *personal_names(plain, phones)):
        free = _free_part(item, kept)
        if free is not None:
            kept.append(free)
    return sorted(Personal(shown[item.start], shown[item.end - 1] + 1, item.kind) for item in kept)


def mask(text: str, *, sealer: Sealer | None = None) -> str:
    """Return `text` with personal data replaced by a word in brackets for what it was.

    sealer : if given, the word carries a token that the key opens again
    """
    out, at = [], 0
    for start, end, kind in find_personal(text):
        out += [text[at:start], sealer.seal(kind, text[start:end]) if sealer else f"[{kind}]"]
        at = end
    return "".join(out) + text[at:]


def pseudonym(kind: str, name: str, *, platform: str, sealer: Sealer | None = None) -> str:
    """Return a stable stand-in for a name or id, equal for equal names on one platform.

    Without a sealer it hides the id from a reader, not from somebody who tries all ids.
    """
    if sealer is not None:
        return sealer.pseudonym(kind, name, platform=platform)
    return f"{kind}-{hashlib.sha256(f'{platform}/{kind}/{name}'.encode()).hexdigest()[:12]}"


def masked_case(case: Case, *, sealer: Sealer | None = None) -> Case:
    """Return the case with every text masked and the ids of order and parties replaced."""
    listing = case.listing
    return hide_parties(case, sealer=sealer).model_copy(
        update={
            "buyer_statement": mask(case.buyer_statement, sealer=sealer),
            "seller_statement": mask(case.seller_statement, sealer=sealer),
            "listing": listing.model_copy(
                update={
                    "title": mask(listing.title, sealer=sealer),
                    "description": mask(listing.description, sealer=sealer),
                    "category": mask(listing.category, sealer=sealer),
                    "attributes": {
                        mask(key, sealer=sealer): mask(value, sealer=sealer)
                        for key, value in listing.attributes.items()
                    },
                }
            ),
            "chat": tuple(
                message.model_copy(update={"text": mask(message.text, sealer=sealer)}) for message in case.chat
            ),
            "logistics": tuple(_masked_note(event, sealer) for event in case.logistics),
            "timeline": tuple(_masked_note(event, sealer) for event in case.timeline),
            "documents": tuple(_masked_note(document, sealer) for document in case.documents),
        }
    )


def masked_decision(decision: Decision) -> Decision:
    """Return the decision with every text that a person wrote in it masked."""
    request = decision.request
    if request is not None:
        text = request.text.model_copy(update={"zh": mask(request.text.zh), "en": mask(request.text.en)})
        request = request.model_copy(update={"what": mask(request.what), "text": text})
    written = {"reason": mask(decision.reason), "distinguishes": mask(decision.distinguishes), "request": request}
    return decision.model_copy(update=written)


def emptied_case(case: Case, *, case_id: str) -> Case:
    """Return what is left of a case once everything that people wrote, sent or did in it is erased.

    Kind, category, sums and when it was opened stay; times of chat, carriage and procedure go too.
    """
    nobody = {"order_id": "erased", "buyer_id": "erased", "seller_id": "erased"}
    times = {"paid_at": None, "receipt_confirmed_at": None}
    return Case(
        case_id=case_id,
        platform=case.platform,
        opened_at=case.opened_at,
        claim=case.claim,
        requested=case.requested,
        listing=Listing(category=case.listing.category),
        order=case.order.model_copy(update=nobody | times),
    )


def hide_parties(case: Case, *, sealer: Sealer | None = None) -> Case:
    """Return the case with stable stand-ins for the ids of order, buyer and seller."""
    order, platform = case.order, case.platform
    ids = {
        "order_id": pseudonym("o", order.order_id, platform=platform, sealer=sealer),
        "buyer_id": pseudonym("b", order.buyer_id, platform=platform, sealer=sealer),
        "seller_id": pseudonym("s", order.seller_id, platform=platform, sealer=sealer),
    }
    return case.model_copy(update={"order": order.model_copy(update=ids)})


def unhide_parties(case: Case, on_file: Case, *, sealer: Sealer | None = None) -> Case:
    """Return the case with the ids on file wherever it came back with their stand-ins."""
    hidden = hide_parties(on_file, sealer=sealer).order
    ids = {
        name: getattr(on_file.order, name)
        for name in ("order_id", "buyer_id", "seller_id")
        if getattr(case.order, name) == getattr(hidden, name)
    }
    return case.model_copy(update={"order": case.order.model_copy(update=ids)}) if ids else case


def _masked_note(item: Noted, sealer: Sealer | None) -> Noted:
    return item.model_copy(update={"note": mask(item.note, sealer=sealer)}) if item.note else item


def _free_part(item: Personal, taken: list[Personal]) -> Personal | None:
    """What is left of an item beside those found before it; None where nothing is, or its own kind was there first."""
    start, end, kind = item
    for other in sorted(taken):
        if other.start < end and start < other.end:
            if other.kind == kind:
                return None
            if other.start <= start:
                start = other.end
            else:
                end = other.start
    return Personal(start, end, kind) if start < end else None
