"""A run: equal to scoring directly, exactly once however it was stopped, and refused when its input changed."""

import resource
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from models.int8 import weight_range
from serving.backlog.pool import PoolEngine
from serving.backlog.refusals import (
    BacklogError,
    OutputBusyError,
    OutputFullError,
    RunChangedError,
    WorkerFailedError,
)
from serving.backlog.rows import to_suggestion
from serving.backlog.run import score_backlog
from serving.backlog.summary import Summary
from serving.backlog.writing import OutputFolder
from tests.serving.backlog.backlogs import (
    KILLS,
    case_content,
    case_file,
    load_deadly,
    refused_rows,
    results,
    suggestion_rows,
    write_lines,
    write_parquet,
)
from tests.suggesters import DAMAGED, UNREADABLE, build_suggester

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def _score(backlog: Path, out: Path, pool: PoolEngine, **options: Any) -> Summary:
    return score_backlog(
        str(backlog), out=out, engine=pool, **{"now": NOW, "chunk_cases": 2, "part_cases": 5, **options}
    )


def test_a_backlog_gives_what_scoring_each_case_gives(tmp_path: Path, pool: PoolEngine) -> None:
    photos = [{"photo_id": "p1", "role": "received", "filed_by": "buyer", "path": "photos/p1.jpg"}]
    contents = [case_content(number, photos=photos if number == 3 else []) for number in range(11)]
    backlog = write_lines(tmp_path / "cases.jsonl", contents)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "p1.jpg").write_bytes(DAMAGED)

    _score(backlog, tmp_path / "out", pool)

    files = [case_file(content, {"p1": DAMAGED} if n == 3 else None) for n, content in enumerate(contents)]
    assert [to_suggestion(row) for row in suggestion_rows(tmp_path / "out")] == build_suggester().suggest(
        files, now=NOW
    )


def test_a_bad_line_is_reported_with_its_reason_and_the_others_are_scored(
    mixed: Path, tmp_path: Path, pool: PoolEngine
) -> None:
    summary = _score(mixed, tmp_path / "out", pool)

    refused = refused_rows(tmp_path / "out")
    assert [(row["source"], row["line"], row["case_id"], row["kind"]) for row in refused] == [
        ("a.jsonl", 4, "TB-bad", "format"),
        ("a.jsonl", 9, "TB-1", "duplicate"),
        ("b.jsonl", 1, "TB-8", "format"),
    ]
    assert refused[0]["reason"].startswith("case: is not valid JSON")
    assert refused[1]["reason"] == "the case already stands in a.jsonl, line 2"
    assert refused[2]["reason"] == "extra: unknown key"
    scored = [row["case_id"] for row in suggestion_rows(tmp_path / "out")]
    assert scored == [f"TB-{n}" for n in (0, 1, 2, 3, 4, 5, 6, 9, 10, 11)]
    assert (summary.n_rows, summary.n_scored, summary.n_refused) == (13, 10, 3)


def _flip_a_bit_inside(part: Path) -> None:
    """Damage what `evidence`, a column that a run doesn't read for its own sake, holds."""
    with parquet.ParquetFile(part) as file:
        group = file.metadata.row_group(0)
        places = {group.column(n).path_in_schema: group.column(n).data_page_offset for n in range(group.num_columns)}
    place = next(offset for name, offset in places.items() if name.startswith("evidence")) + 40
    data = bytearray(part.read_bytes())
    data[place] ^= 1
    part.write_bytes(data)


def test_a_lost_or_damaged_part_is_made_again(mixed: Path, tmp_path: Path, pool: PoolEngine) -> None:
    out = tmp_path / "out"
    _score(mixed, out, pool)
    whole = results(out)
    for damage in (Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-100]), _flip_a_bit_inside):
        damage(out / "suggestions" / "part-000001.parquet")
        _score(mixed, out, pool)
        assert results(out) == whole


def test_a_complete_run_goes_on_to_nothing(mixed: Path, tmp_path: Path, pool: PoolEngine) -> None:
    out = tmp_path / "out"
    _score(mixed, out, pool)
    times = {path: path.stat().st_mtime_ns for path in (out / "suggestions").iterdir()}
    _score(mixed, out, pool)
    assert {path: path.stat().st_mtime_ns for path in (out / "suggestions").iterdir()} == times


def test_a_changed_input_is_refused_by_name(mixed: Path, tmp_path: Path, pool: PoolEngine) -> None:
    out = tmp_path / "out"
    _score(mixed, out, pool)
    before = results(out)
    write_lines(mixed / "b.jsonl", [case_content(20)])
    write_lines(mixed / "c.jsonl", [case_content(21)])
    with pytest.raises(RunChangedError, match=r"c\.jsonl is new; the content of b\.jsonl changed"):
        _score(mixed, out, pool)
    with pytest.raises(RunChangedError, match="--photos was each file's own folder and is "):
        _score(mixed, out, pool, photos_dir=tmp_path)
    assert results(out) == before

    _score(mixed, out, pool, fresh=True)
    assert [row["case_id"] for row in suggestion_rows(out)][-2:] == ["TB-20", "TB-21"]


def test_another_model_is_refused_by_version(mixed: Path, tmp_path: Path, pool: PoolEngine) -> None:
    class OtherModel:
        model_version = "ruling/other"
        weight_range = pool.weight_range
        score = pool.score

    class OtherProcessor(OtherModel):
        model_version = pool.model_version
        weight_range = 191 - weight_range()

    _score(mixed, tmp_path / "out", pool)
    with pytest.raises(RunChangedError, match="the model was ruling/test and is ruling/other"):
        score_backlog(str(mixed), out=tmp_path / "out", engine=OtherModel())
    with pytest.raises(RunChangedError, match="would not answer alike"):
        score_backlog(str(mixed), out=tmp_path / "out", engine=OtherProcessor())


def test_workers_on_two_kinds_of_processors_are_refused() -> None:
    engine = PoolEngine(load_deadly, processes=2)
    engine._is_ready("ruling/test", 127)
    engine._is_ready("ruling/test", 127)
    with pytest.raises(WorkerFailedError, match="with and without 8-bit dot products"):
        engine._is_ready("ruling/test", 64)


def test_fresh_leaves_nothing_of_a_longer_run(mixed: Path, tmp_path: Path, pool: PoolEngine) -> None:
    out = tmp_path / "out"
    _score(mixed, out, pool)
    _score(write_lines(tmp_path / "short.jsonl", [case_content(0)]), out, pool, fresh=True)
    assert [row["case_id"] for row in suggestion_rows(out)] == ["TB-0"]
    assert refused_rows(out) == []


def test_two_runs_never_write_to_one_folder(mixed: Path, tmp_path: Path, pool: PoolEngine) -> None:
    with OutputFolder(tmp_path / "out").held(), pytest.raises(OutputBusyError, match="another run"):
        _score(mixed, tmp_path / "out", pool)


def test_parts_without_a_manifest_are_never_silently_discarded(mixed: Path, tmp_path: Path, pool: PoolEngine) -> None:
    _score(mixed, tmp_path / "out", pool)
    (tmp_path / "out" / "run.json").unlink()
    with pytest.raises(BacklogError, match=r"holds parts but no run\.json"):
        _score(mixed, tmp_path / "out", pool)


def test_a_full_disk_is_said_and_the_same_command_goes_on(mixed: Path, tmp_path: Path, pool: PoolEngine) -> None:
    """By RLIMIT_FSIZE: the kernel itself refuses to let a file grow."""
    _ = pool.model_version
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, before[1]))
    try:
        with pytest.raises(OutputFullError, match="no room is left"):
            _score(mixed, tmp_path / "out", pool)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "out").rglob(".new-*"))
    assert _score(mixed, tmp_path / "out", pool).n_scored == 10


def test_absent_and_damaged_photos_never_refuse_a_case_and_such_cases_are_counted(
    tmp_path: Path, pool: PoolEngine
) -> None:
    def photo(name: str, path: str | None) -> dict[str, Any]:
        return {"photo_id": name, "role": "received", "filed_by": "buyer", "path": path}

    photos = [photo("p1", "here.jpg"), photo("p2", "gone.jpg"), photo("p3", "link.jpg"), photo("p4", None)]
    content = case_content(0, photos=[*photos, photo("p5", "bad.jpg")])
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "here.jpg").write_bytes(DAMAGED)
    (folder / "bad.jpg").write_bytes(UNREADABLE)
    (tmp_path / "outside.jpg").write_bytes(DAMAGED)
    (folder / "link.jpg").symlink_to(tmp_path / "outside.jpg")

    whole = case_content(1, photos=[photo("p1", "here.jpg")])
    backlog = write_lines(tmp_path / "cases.jsonl", [content, whole])
    summary = _score(backlog, tmp_path / "out", pool, photos_dir=folder)

    files = [case_file(content, {"p1": DAMAGED, "p5": UNREADABLE}), case_file(whole, {"p1": DAMAGED})]
    assert [to_suggestion(row) for row in suggestion_rows(tmp_path / "out")] == build_suggester().suggest(
        files, now=NOW
    )
    assert (summary.n_scored, summary.n_lacking_photos) == (2, 1)


def test_a_backlog_and_its_photos_by_url_give_what_they_give_by_path(tmp_path: Path, pool: PoolEngine) -> None:
    photo = {"photo_id": "p1", "role": "received", "filed_by": "buyer"}
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "p1.jpg").write_bytes(DAMAGED)
    contents = [
        case_content(0, photos=[{**photo, "path": "p1.jpg"}]),
        case_content(3, photos=[{**photo, "path": f"file://{folder}/p1.jpg"}]),
    ]
    backlog = write_lines(tmp_path / "cases.jsonl", contents)
    _score(backlog, tmp_path / "by-path", pool, photos_dir=folder)
    score_backlog(
        f"file://{backlog}", out=tmp_path / "by-url", engine=pool, photos_dir=f"file://{folder}", now=NOW, part_cases=5
    )
    expected = build_suggester().suggest([case_file(content, {"p1": DAMAGED}) for content in contents], now=NOW)
    for name in ("by-path", "by-url"):
        assert [to_suggestion(row) for row in suggestion_rows(tmp_path / name)] == expected


def test_parquet_gives_what_the_same_json_lines_give(tmp_path: Path, pool: PoolEngine) -> None:
    contents = [case_content(number) for number in range(9)]
    _score(write_lines(tmp_path / "cases.jsonl", contents), tmp_path / "from-lines", pool)
    write_parquet(tmp_path / "cases.parquet", contents, row_group_size=3)
    _score(tmp_path / "cases.parquet", tmp_path / "from-parquet", pool)
    expected = [to_suggestion(row) for row in suggestion_rows(tmp_path / "from-lines")]
    assert [to_suggestion(row) for row in suggestion_rows(tmp_path / "from-parquet")] == expected


def test_a_truncated_parquet_and_a_damaged_piece_are_reported_and_the_rest_is_scored(
    tmp_path: Path, pool: PoolEngine
) -> None:
    contents = [case_content(number) for number in range(40)]
    (tmp_path / "in").mkdir()
    whole = write_parquet(tmp_path / "in" / "a.parquet", contents[:30], row_group_size=10)
    with parquet.ParquetFile(whole) as file:
        start = file.metadata.row_group(1).column(0).data_page_offset
    data = bytearray(whole.read_bytes())
    data[start : start + 40] = b"\xff" * 40
    whole.write_bytes(data)
    cut = write_parquet(tmp_path / "in" / "b.parquet", contents[30:35], row_group_size=10)
    cut.write_bytes(cut.read_bytes()[:-40])
    write_lines(tmp_path / "in" / "c.jsonl", contents[35:])
    shown: list[tuple[int, int, int]] = []

    summary = _score(tmp_path / "in", tmp_path / "out", pool, on_progress=lambda *told: shown.append(told))

    damaged, truncated = refused_rows(tmp_path / "out")
    assert (damaged["source"], damaged["line"], damaged["n_rows"]) == ("a.parquet", 11, 10)
    assert damaged["reason"].startswith("rows 11 to 20 are not readable as Parquet")
    assert (truncated["source"], truncated["line"], truncated["n_rows"]) == ("b.parquet", 1, 1)
    assert truncated["reason"].startswith("not readable as Parquet, maybe truncated")
    scored = [row["case_id"] for row in suggestion_rows(tmp_path / "out")]
    assert scored == [f"TB-{n}" for n in (*range(10), *range(20, 30), *range(35, 40))]
    assert (summary.n_rows, summary.n_scored, summary.n_refused) == (36, 25, 11)
    assert summary.refused_by_kind == {"unreadable": 11}
    assert shown[-1] == (36, 36, 11)


def test_a_summary_says_where_workers_were_lost_also_after_a_stop(tmp_path: Path, pool: PoolEngine) -> None:
    contents = [case_content(n, buyer_statement=KILLS if n == 2 else "碎了") for n in range(9)]
    backlog = write_lines(tmp_path / "cases.jsonl", contents)

    def stop_after_a_part(done: int, total: int, refused: int) -> None:
        if done > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _score(backlog, tmp_path / "out", pool, on_progress=stop_after_a_part)
    summary = _score(backlog, tmp_path / "out", pool)

    first, second = summary.workers_lost
    assert first.startswith("a worker was killed by SIGKILL (often for lack of memory) while it scored cases.jsonl, ")
    assert first.endswith("lines 3 to 4: scored again, case by case")
    assert second.endswith("while it scored cases.jsonl, line 3: refused, for it is the second time")
    assert (summary.n_scored, summary.n_refused) == (8, 1)
