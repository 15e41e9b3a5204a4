"""Numbers that reach or identify a person: telephone, identity card and bank card numbers, e-mail addresses.

Identity cards are known by their checksum (GB 11643-1999, ISO 7064 MOD 11-2) and birth date, bank cards by the Luhn
digit (ISO/IEC 7812-1), their first digits and their length. A number that fails its check counts only after a word that
announces it. Knows nothing of what is done with them.
"""

import re
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import Literal, NamedTuple

PersonalKind = Literal["email", "id", "card", "phone", "address", "name"]


class Personal(NamedTuple):
    """Personal data in a text, characters [start, end)."""

    start: int
    end: int
    kind: PersonalKind


_EMAIL = re.compile(
    r"(?<![\w.+-])[\w+-](?:[\w.+-]{0,62}[\w+-])?@(?:[\w-]{1,63}\.){1,4}[A-Za-z]{2,24}(?![\w-])", re.ASCII
)
_DIGITS = re.compile(r"(?<![\dA-Za-z])(?<![A-Za-z]-)\d{1,19}(?:(?: {1,2}|[.-])\d{1,19}){0,11}[Xx]?(?![\dA-Za-z])")
_GROUP = re.compile(r"\d+[Xx]?")
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CUE = re.compile(r"(?:身份证|证件号?|\bID(?: (?:number|card|no))?)[^\d，。,;；]{0,8}$", re.IGNORECASE)
_CARD_CUE = re.compile(r"(?:卡号?|银行|账号|账户|\bcard|visa|mastercard|amex)[^\d，。,;；]{0,10}$", re.IGNORECASE)
_ORDER_CUE = re.compile(
    r"(?:单号?|编号|流水|(?<!号)码|(?:单|快递|物流|序列|批次|产品)号码|交易号|ISBN|IMEI|UPC|tracking|order|USPS|item)[\s:：#是为]{0,3}$",
    re.IGNORECASE,
)
_CARDS: tuple[tuple[re.Pattern[str], tuple[int, ...]], ...] = (
    (re.compile("62"), (16, 17, 18, 19)),
    (re.compile("4"), (13, 16, 19)),
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile("3[47]"), (15,)),
    (re.compile("35(?:2[89]|[3-8])"), (16,)),
    (re.compile("6011|64[4-9]|65"), (16, 17, 18, 19)),
    (re.compile("30[0-5]|36|38"), (14,)),
    (re.compile("50|5[6-8]|67"), (16, 17, 18, 19)),
)
_MOBILE = r"1[ ._-]?[3-9](?:[ ._-]?\d){9}"
_EDGE = r"(?<![\dA-Za-z])(?<!\d[.,-])"
_BEHIND_CUE = r"(?:(?<=(?<![A-Za-z])[Vv])|(?i:(?<=vx)|(?<=wx)|(?<=tel)|(?<=phone)|(?<=mobile)|(?<=wechat)))"
_PHONES = tuple(
    re.compile(rf"(?:{_EDGE}|{_BEHIND_CUE})" + pattern + r"(?:,? ?(?:ext\.?|x|转) ?\d{1,5})?(?![\dA-Za-z])(?![.-]\d)")
    for pattern in (
        rf"(?:(?:\+|00)?86[ -]?)?{_MOBILE}",
        r"(?:\+|(?<![A-Za-z]-)00)[1-9]\d{0,2}(?:[ .-]{0,1}\(?\d{1,5}\)?){2,6}",
        r"\((?:852|853|886)\)[ -]?\d{3,4}[ -]?\d{4}",
        r"\(?0[1-9]\d{1,2}\)?[ -]?\d{7,8}",
        r"0[1-9]\d{1,3}[ -]\d{3,4}[ -]?\d{3,4}",
        r"0[1-9][ -]\d{4}[ -]\d{4}",
        r"\(0\d{1,3}\)[ -]?\d{3,4}[ -]?\d{3,4}",
        r"(?:1[ .-])?(?:\([2-9]\d\d\)[ .-]?|(?!400)[2-9]\d\d[ .-])\d{3}[ .-]\d{4}",
        r"[2-9]\d{9}",
    )
)
_PLAIN_TEN = _PHONES[-1]
_PHONE_CUE = re.compile(r"(?:cell|phone|mobile|tel|call|text|ring|whatsapp|number is)[\s:：.]{0,3}$", re.IGNORECASE)
_MIN_PHONE_DIGITS, _MAX_PHONE_DIGITS = 8, 15
_SPOKEN_DIGITS = "零〇幺一二三四五六七八九两"
_SPOKEN = re.compile(rf"(?<![{_SPOKEN_DIGITS}])[幺一][三四五六七八九][{_SPOKEN_DIGITS}]{{9}}(?![{_SPOKEN_DIGITS}])")
_CUE_CHARACTERS = 24


def personal_numbers(text: str) -> Iterator[Personal]:
    """Yield e-mail addresses and numbers, surest kind first; they may overlap.

    text : digits and signs in ASCII
    """
    yield from (Personal(*found.span(), "email") for found in _EMAIL.finditer(text))
    yield from _checked(text)
    for pattern in _PHONES:
        for found in pattern.finditer(text):
            n_digits = sum(character.isdigit() for character in found[0])
            announced = pattern is not _PLAIN_TEN or _PHONE_CUE.search(_before(text, found.start()))
            named_otherwise = found[0].isdigit() and _ORDER_CUE.search(_before(text, found.start()))
            if announced and not named_otherwise and _MIN_PHONE_DIGITS <= n_digits <= _MAX_PHONE_DIGITS:
                yield Personal(*found.span(), "phone")
    yield from (Personal(*found.span(), "phone") for found in _SPOKEN.finditer(text))


def is_identity_number(digits: str) -> bool:
    """Whether 18 characters are a Chinese identity number: a real birth date and the right check character."""
    if not re.fullmatch(r"[1-8]\d{16}[\dX]", digits):
        return False
    if _birth_date(digits[6:14]) is None:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits[:17], _ID_WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == digits[17]


def is_card_number(digits: str) -> bool:
    """Whether digits have the beginning, the length and the Luhn digit of a bank card."""
    if not any(start.match(digits) and len(digits) in lengths for start, lengths in _CARDS):
        return False
    doubled = (int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _birth_date(digits: str) -> date | None:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
    return born if 1900 <= born.year <= 2099 else None


def _checked(text: str) -> Iterator[Personal]:
    """Identity and bank cards: every row of neighbouring digit groups is tried, longest first."""
    for run in _DIGITS.finditer(text):
        groups = [(found.start() + run.start(), found.end() + run.start()) for found in _GROUP.finditer(run[0])]
        first = 0
        while first < len(groups):
            last, kind = _longest(text, groups, first)
            if kind is not None:
                yield Personal(groups[first][0], groups[last][1], kind)
            first = last + 1


def _before(text: str, place: int) -> str:
    return text[max(0, place - _CUE_CHARACTERS) : place]


def _longest(text: str, groups: list[tuple[int, int]], first: int) -> tuple[int, PersonalKind | None]:
    start = groups[first][0]
    for last in reversed(range(first, len(groups))):
        if not _evenly_parted(text, groups[first : last + 1]):
            continue
        digits = re.sub(r"[ .-]", "", text[start : groups[last][1]]).upper()
        kind = _kind_of(digits, before=_before(text, start))
        if kind is not None:
            return last, kind
    return first, None


def _evenly_parted(text: str, groups: list[tuple[int, int]]) -> bool:
    return len({text[left[1] : right[0]] for left, right in pairwise(groups)}) <= 1


def _kind_of(digits: str, *, before: str) -> PersonalKind | None:
    if is_identity_number(digits):
        return "id"
    if len(digits) in (15, 18) and _ID_CUE.search(before):
        return "id"
    if not digits.isdigit():
        return None
    if is_card_number(digits) and not _ORDER_CUE.search(before):
        return "card"
    if 13 <= len(digits) <= 19 and _CARD_CUE.search(before):
        return "card"
    return None
