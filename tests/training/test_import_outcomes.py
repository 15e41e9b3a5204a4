"""Outcomes from elsewhere are taken by a mapping, and each refused row is reported with its line and reason."""

import json
from pathlib import Path

import pandas as pd
import pytest

from models.errors import CaseFormatError, InputError
from tests.builders import build_case, hours, photo_bytes
from training.import_outcomes import Imported, import_outcomes
from training.snapshot import read_snapshot

ROWS = [
    {"单号": "TB-1", "结果": "仅退款", "时间": "2026-04-02T10:00:00+08:00", "说明": "电话13812345678"},
    {"单号": "TB-2", "结果": "打款卖家", "时间": "2026-04-03T10:00:00", "说明": ""},
    {"单号": "TB-2", "结果": "没听说过", "时间": "2026-04-03T10:00:00+08:00", "说明": ""},
    {"单号": "TB-9", "结果": "仅退款", "时间": "2026-04-03T10:00:00+08:00", "说明": ""},
    {"单号": "TB-1", "结果": "打款卖家", "时间": "2026-04-03T10:00:00+08:00", "说明": ""},
    {"单号": "TB-2", "结果": "打款卖家", "时间": "2026-04-03T10:00:00+08:00", "说明": ""},
]
MAPPING = """
columns: {case_id: 单号, ruling: 结果, decided_at: 时间, why: 说明}
values: {ruling: {仅退款: refund, 打款卖家: dismiss}}
constants: {suggestion_shown: false}
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    photos = [{"photo_id": "p1", "role": "received", "filed_by": "buyer", "path": "p1.png"}]
    said = [{"message_id": "m1", "at": hours(50), "speaker": "buyer", "text": "我电话13812345678"}]
    cases = [build_case(photos=photos, chat=said), build_case(case_id="TB-2")]
    (tmp_path / "cases.jsonl").write_text("\n".join(case.model_dump_json() for case in cases), encoding="utf-8")
    (tmp_path / "p1.png").write_bytes(photo_bytes())
    (tmp_path / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    return tmp_path


def write_table(folder: Path, ending: str) -> Path:
    path = folder / f"table{ending}"
    frame = pd.DataFrame(ROWS)
    {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".parquet": lambda: frame.to_parquet(path),
        ".jsonl": lambda: path.write_text(
            "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), encoding="utf-8"
        ),
    }[ending]()
    return path


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_good_rows_are_taken_and_every_other_is_reported(sources: Path, ending: str) -> None:
    table, out = write_table(sources, ending), sources / "out"
    done = import_outcomes(table, cases=sources / "cases.jsonl", mapping=sources / "mapping.yaml", directory=out)
    decided = read_snapshot(done.folder)
    assert [(one.key, one.label, one.is_gold) for one in decided] == [
        ("taobao/TB-1", "refund", True),
        ("taobao/TB-2", "dismiss", True),
    ]
    assert decided[0].file.photos == {"p1": photo_bytes()}
    assert "13812345678" not in (done.folder / "cases.jsonl").read_text(encoding="utf-8")
    assert "13812345678" not in (done.folder / "outcomes.jsonl").read_text(encoding="utf-8")
    refused = [json.loads(line) for line in (out / "refused.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["line"], row["case_id"]) for row in refused] == [(2, "TB-2"), (3, "TB-2"), (4, "TB-9"), (5, "TB-1")]
    for row, reason in zip(
        refused, ["decided_at", "没听说过", "fits 0 of the cases", "an outcome already"], strict=True
    ):
        assert reason in row["reason"]


def test_a_table_without_a_usable_row_is_refused_with_its_report(sources: Path) -> None:
    table, out = write_table(sources, ".csv"), sources / "out"
    with pytest.raises(InputError, match="holds no usable row: case_id: Field required"):
        import_outcomes(table, cases=sources / "cases.jsonl", mapping=None, directory=out)
    assert len((out / "refused.jsonl").read_text(encoding="utf-8").splitlines()) == len(ROWS)
    assert not list(out.glob("*/"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "table.csv",
            "单号,结果\nTB-1,仅退款\nTB-2,仅退款,2026,more\n",
            r"table\.csv:3: has more values than the header",
        ),
        ("table.jsonl", '{"单号": "TB-1"}\n\n{"单号": oops}\n', r"table\.jsonl:3: can.t be read"),
    ],
)
def test_a_broken_table_is_refused_by_its_line(sources: Path, name: str, content: str, said: str) -> None:
    (sources / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        take(sources, sources / name)


def test_a_mapping_to_an_unknown_key_is_refused_by_name(sources: Path) -> None:
    (sources / "mapping.yaml").write_text("columns: {verdict: 结果}", encoding="utf-8")
    with pytest.raises(CaseFormatError, match=r"mapping\.yaml: verdict: is no key of an outcome"):
        import_outcomes(
            write_table(sources, ".csv"),
            cases=sources / "cases.jsonl",
            mapping=sources / "mapping.yaml",
            directory=sources / "out",
        )


def take(sources: Path, table: Path) -> Imported:
    return import_outcomes(
        table, cases=sources / "cases.jsonl", mapping=sources / "mapping.yaml", directory=sources / "out"
    )


def test_cells_of_any_kind_are_taken_or_refused_by_row(sources: Path) -> None:
    """A list in a cell, a time that is absent, and a column that nobody asked about."""
    table = sources / "table.parquet"
    rows = [{**ROWS[0], "时间": pd.Timestamp("2026-04-02", tz="UTC"), "标签": ["a", "b"]}]
    rows += [{"单号": "TB-2", "结果": "打款卖家", "时间": pd.NaT, "标签": []}, {"单号": "TB-2", "结果": "没听说过"}]
    pd.DataFrame(rows).to_parquet(table)
    done = take(sources, table)
    assert (done.n_taken, [one.line for one in done.refused]) == (2, [3])


def test_words_that_no_file_can_hold_are_written_out_in_the_report(sources: Path) -> None:
    table = sources / "table.jsonl"
    rows = [ROWS[0], {"单号": "\ud800", "结果": "仅退款"}]
    table.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    assert [one.case_id for one in take(sources, table).refused] == ["\\ud800"]
    assert "ud800" in (sources / "out" / "refused.jsonl").read_text(encoding="utf-8")


def test_a_line_ends_at_a_line_feed_and_nowhere_else(sources: Path) -> None:
    """JSON text may hold U+2028 and the like as they are."""
    case = build_case(buyer_statement="碎了\u2028第二行\x85第三行")
    (sources / "cases.jsonl").write_text(case.model_dump_json() + "\n", encoding="utf-8")
    (sources / "table.jsonl").write_text(json.dumps(ROWS[0]), encoding="utf-8")
    (decided,) = read_snapshot(take(sources, sources / "table.jsonl").folder)
    assert decided.file.case.buyer_statement == case.buyer_statement


def test_a_photo_of_an_impossible_name_is_left_out(sources: Path) -> None:
    photos = [{"photo_id": "p1", "role": "received", "filed_by": "buyer", "path": f"{'x' * 400}.jpg"}]
    (sources / "cases.jsonl").write_text(build_case(photos=photos).model_dump_json(), encoding="utf-8")
    (sources / "table.jsonl").write_text(json.dumps(ROWS[0]), encoding="utf-8")
    (decided,) = read_snapshot(take(sources, sources / "table.jsonl").folder)
    assert decided.file.photos == {}


@pytest.mark.parametrize("content", ["[1]", "5", "[" * 100_000, '{"a": 1' + "0" * 5_000 + "}"])
def test_a_row_that_is_no_object_is_refused(sources: Path, content: str) -> None:
    (sources / "table.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"is no object|can't be read"):
        take(sources, sources / "table.jsonl")


@pytest.mark.parametrize("content", ["columns: {a: 2026-13-99}", "[" * 3_000, "\x00"])
def test_a_mapping_that_cannot_be_read_is_refused(sources: Path, content: str) -> None:
    (sources / "mapping.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"mapping\.yaml"):
        take(sources, write_table(sources, ".csv"))
