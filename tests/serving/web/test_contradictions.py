"""Facts against facts, marked where they stand."""

from typing import Any

import pytest

from serving.web.contradictions import contradictions
from tests.builders import build_case, happened, hours, signed


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"logistics": [signed("buyer")]}, []),
        ({"claim": "not_received", "logistics": [signed("buyer")]}, [("logistics.0", "signed_by_buyer")]),
        ({"claim": "not_received", "logistics": [signed("locker")]}, [("logistics.0", "signed_by_other")]),
        ({"logistics": [{"at": hours(3), "event": "shipped"}]}, [("order.goods_state", "received_without_record")]),
        (
            {"logistics": [signed("buyer", at=48)], "order": {"receipt_confirmed_at": hours(20)}},
            [("order.receipt_confirmed_at", "confirmed_before_arrival")],
        ),
        (
            {"logistics": [signed("buyer", at=48)], "timeline": [happened("refund_applied", "buyer", at=30)]},
            [("timeline.0", "applied_before_arrival")],
        ),
        (
            {
                "logistics": [signed("buyer", at=48)],
                "photos": [{"photo_id": "p1", "role": "received", "filed_by": "buyer", "taken_at": hours(1)}],
            },
            [("p1", "taken_before_arrival")],
        ),
        (
            {"claim": "return_not_refunded", "logistics": [signed("buyer")]},
            [("order.goods_state", "return_without_record")],
        ),
    ],
)
def test_what_doesnt_fit_together_is_found_and_nothing_else(
    changes: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    assert [(one.ref, one.name) for one in contradictions(build_case(**changes))] == found
