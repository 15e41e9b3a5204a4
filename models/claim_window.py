"""The time that a page gives for complaints ("alive for 7 days", "report within 2 hours of sign-off"), kept or missed.

A duty to describe truly has no such limit: only damage, short parcels and defects are read against it.
"""

import re

from models.delivery import arrival, first_complaint
from models.evidence import CaseEvidence, Finding, read_once, weigh
from models.vocabulary import Claim, SignedBy

_LIMITED = (Claim.DAMAGED, Claim.MISSING_ITEM, Claim.QUALITY_DEFECT)
_HANDED_OVER = (SignedBy.BUYER, SignedBy.FAMILY)
_HOURS = {
    "小时": 1, "h": 1, "hour": 1, "hr": 1,
    "天": 24, "日": 24, "day": 24,
    "周": 168, "week": 168,
    "个月": 720, "month": 720,
    "年": 8760, "year": 8760,
}  # fmt: skip
_UNITS = "|".join(_HOURS)
_TIME = rf"(\d{{1,3}})\s?({_UNITS})"
_ABOUT_HARM = "赔|补|死|活|坏|破|损|视频|拍|反馈|联系|报|理"
_TELL = "report|claim|contact|message|photo|video|tell|let us know|guarantee"
_WINDOWS = (
    rf"(?:签收|收货|到货|收到|送达)[^。；，,.;\d无]{{0,8}}{_TIME}之?内?(?!无理由)[^。；\n]{{0,24}}(?:{_ABOUT_HARM})",
    rf"(?:包活|保活|质保|保修|包赔|包损)[^。；，,.;\d]{{0,4}}{_TIME}",
    rf"(?:{_TELL})[^.;\n]{{0,40}}within\s{_TIME}",
    rf"within\s{_TIME}s?\sof\s(?:delivery|arrival|receipt|signing)",
    rf"(\d{{1,3}})[- ]?({_UNITS})s?[- ]?(?:质保|保修|warranty|guarantee)",
)
_WINDOW = [re.compile(window, re.IGNORECASE) for window in _WINDOWS]


def hours_on_page(text: str) -> float | None:
    """Return the longest time in hours that a page gives for complaints, None where it names none."""
    named = (pair for window in _WINDOW for pair in window.findall(text))
    found = [int(count) * float(_HOURS[unit.lower()]) for count, unit in named]
    return max(found, default=None)


@read_once
def too_late(evidence: CaseEvidence) -> Finding:
    """Find whether the buyer, the goods in hand, first complained after the time that the page gives."""
    hours, came, complained = hours_on_page(evidence.case.listing.text), arrival(evidence), first_complaint(evidence)
    if evidence.case.claim not in _LIMITED or hours is None or came is None or complained is None:
        return Finding(0.0)
    if came[1].by not in _HANDED_OVER:
        return Finding(0.0)
    late = (complained[1] - came[1].at).total_seconds() > hours * 3600
    return weigh([("listing.claim_window", 0.8)]) if late and evidence.counts("listing.claim_window") else Finding(0.0)


def owed(promise: Finding, evidence: CaseEvidence) -> Finding:
    """Return the promise of a page as far as the buyer kept to the page's time for it."""
    late = too_late(evidence)
    return Finding(promise.probability * (1 - late.probability), promise.supported_by, late.supported_by)
