"""The measurement of the desk takes the way a person takes, and says when the aim is missed."""

from bench.desk import Press, fill, presses, table_row
from models.case_file import CaseFile
from serving.house import House
from tests.builders import build_case, photo_bytes
from tests.suggesters import build_suggester


def test_each_press_decides_one_case_and_opens_the_next(scoring_house: House) -> None:
    photos = [{"photo_id": "p1", "role": "received", "filed_by": "buyer"}]
    file = CaseFile(build_case(photos=photos), {"p1": photo_bytes()})
    fill(scoring_house, list(zip([file], build_suggester().suggest([file]), strict=True)), n_cases=5)
    pressed = list(presses(scoring_house, n_decisions=3))
    assert len(pressed) == 3
    assert all(one.wall_ms > 0 for one in pressed)
    assert {status: n for status, n in scoring_house.store.counts().items() if n} == {"open": 2, "decided": 3}


def test_a_missed_aim_is_said() -> None:
    row = table_row("sqlite", [Press(200.0, 40.0), Press(90.0, 30.0), Press(180.0, 35.0)], n_cases=50_000)
    assert row == "| sqlite | 50,000 | 3 | 180 | 200 | 200 | 35 | **no** |"
