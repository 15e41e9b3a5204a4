"""A page's own time for complaints: what counts as one, and what missing it does."""

from typing import Any

import pytest

from models.claim_window import hours_on_page, owed, too_late
from models.cues import shipped_cues
from models.evidence import CaseEvidence, Finding
from models.proof import condition_at_sign_off, explanation_or_rebuttal
from tests.builders import build_case, build_evidence, happened, signed

CUES = shipped_cues()
ALIVE = "包活7天（签收起），死苗拍照补发"


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        (ALIVE, 168),
        ("到货死亡包赔：签收后2小时内不拆袋拍视频并联系客服", 2),
        ("签收24小时内拍照联系，坏果包赔", 24),
        ("维修后90天质保", 2160),
        ("保修3个月", 2160),
        ("1-year warranty", 8760),
        ("Report damage within 48 hours of delivery", 48),
        ("Live arrival guaranteed: send a photo within 2 hours", 2),
        ("支持签收后7天无理由退换", None),
        ("returns within 30 days", None),
        ("30-day money-back guarantee", None),
        ("拍下48小时发货", None),
        ("", None),
    ],
)
def test_the_time_for_complaints_is_read_and_that_for_returns_is_not(text: str, hours: float | None) -> None:
    assert hours_on_page(text) == hours


def _applied(*, after_hours: float, claim: str = "quality_defect", description: str = ALIVE) -> CaseEvidence:
    changes: dict[str, Any] = {
        "listing": {"title": "蓝莓树苗", "description": description},
        "logistics": [signed("buyer", at=20)],
        "timeline": [happened("refund_applied", "buyer", at=20 + after_hours)],
    }
    return build_evidence(build_case(claim=claim, **changes))


def test_a_complaint_after_the_pages_time_is_late_and_one_within_is_not() -> None:
    assert too_late(_applied(after_hours=24 * 8)).probability > 0.5
    assert too_late(_applied(after_hours=24 * 6)).probability == 0.0
    assert too_late(_applied(after_hours=24 * 8).without("listing.claim_window")).probability == 0.0


def test_the_duty_to_describe_truly_knows_no_such_time() -> None:
    assert too_late(_applied(after_hours=24 * 8, claim="not_as_described")).probability == 0.0


def test_a_late_complaint_answers_the_defect_and_undoes_the_promise() -> None:
    late, in_time = _applied(after_hours=24 * 8), _applied(after_hours=24 * 6)
    assert explanation_or_rebuttal(late, CUES).probability > explanation_or_rebuttal(in_time, CUES).probability + 0.3
    promised = Finding(0.9, ("listing.promise_of_breakage_cover",))
    assert owed(promised, in_time) == promised
    assert owed(promised, late).probability < 0.3


def test_a_late_complaint_speaks_against_damage_at_sign_off() -> None:
    within, after = (
        condition_at_sign_off(_applied(after_hours=10, claim="damaged", description=text), CUES)
        for text in ("签收后24小时内拍照包赔", "签收后2小时内拍照包赔")
    )
    assert after.probability <= within.probability
    assert "listing.claim_window" in after.opposed_by
