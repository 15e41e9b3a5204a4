"""One pool of workers for all tests of backlogs: starting one takes seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.backlog.pool import PoolEngine
from tests.serving.backlog.backlogs import case_content, load_deadly, write_lines


@pytest.fixture(scope="session")
def pool() -> Iterator[PoolEngine]:
    with PoolEngine(load_deadly, processes=2) as engine:
        yield engine


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """13 rows over two files: two that can't be read, a case met twice, the second time in another part."""
    rows = [case_content(number) for number in range(12)]
    write_lines(tmp_path / "in" / "a.jsonl", [*rows[:3], '{"case_id": "TB-bad", "claim"', *rows[3:7], rows[1]])
    write_lines(tmp_path / "in" / "b.jsonl", [{**rows[8], "extra": 1}, *rows[9:12]])
    return tmp_path / "in"
