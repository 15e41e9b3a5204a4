"""Amounts that a page gives, and whether its title and the rest give other ones of the same unit."""

import re

from models.evidence import CaseEvidence

_AMOUNT = re.compile(
    r"(?<![\d.])(\d{1,6}(?:\.\d{1,3})?)\s?(mah|ah|kg|ml|gb|tb|wh|w|v|cm|mm|寸|升|克|g|l)(?![a-z])", re.IGNORECASE
)


def contradictory_page(evidence: CaseEvidence) -> list[str]:
    """Return a reference to the page where its title and the rest give other amounts of one unit."""
    listing = evidence.case.listing
    title, rest = _amounts(listing.title), _amounts(listing.text.removeprefix(listing.title))
    apart = any(title[unit].isdisjoint(rest[unit]) for unit in title.keys() & rest.keys())
    return ["listing.contradictory"] if apart and evidence.counts("listing.contradictory") else []


def _amounts(text: str) -> dict[str, set[float]]:
    found: dict[str, set[float]] = {}
    for amount, unit in _AMOUNT.findall(text):
        found.setdefault(unit.lower(), set()).add(float(amount))
    return found
