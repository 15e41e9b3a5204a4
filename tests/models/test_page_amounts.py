"""When a page's title and the rest of it contradict each other."""

import pytest

from models.page_amounts import contradictory_page
from tests.builders import build_case, build_evidence


@pytest.mark.parametrize(
    ("title", "description", "contradictory"),
    [
        ("锂电池 60V32Ah", "标称电压60V，容量20Ah", True),
        ("锂电池 60V20Ah", "标称电压60V，容量20Ah", False),
        ("Flask 500 ml", "500ml or 750ml, as chosen", False),
        ("Flask 500 ml", "weighs 300 g", False),
        ("马克杯", "", False),
    ],
)
def test_other_amounts_of_one_unit_contradict(title: str, description: str, contradictory: bool) -> None:
    evidence = build_evidence(build_case(listing={"title": title, "description": description}))
    assert contradictory_page(evidence) == (["listing.contradictory"] if contradictory else [])
    assert contradictory_page(evidence.without("listing.contradictory")) == []
