"""The measurement of the desk takes the way a person takes, and says when the aim is missed."""

from pathlib import Path

from bench.desk import Press, presses, table_row
from bench.desk_store import fill
from bench.export import streams, table
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
    assert row == "| sqlite | 50,000 | 3 | 180 | 200 | 200 | 35 | **no** |\n"


def test_the_export_is_read_whole_from_a_running_service_with_its_memory(tmp_path: Path) -> None:
    file = CaseFile(build_case(), {})
    samples = list(zip([file], build_suggester().suggest([file]), strict=True))
    few, many = streams(f"sqlite:///{tmp_path}/log.db", tmp_path, samples, sizes=(3, 7))
    assert (few.n_rows, many.n_rows) == (3, 7)
    assert 0 < many.first_byte_s <= many.whole_s
    assert many.peak_mb > 10
    assert table("sqlite", [many]).startswith("| sqlite | 7 | 0.0 | ")
