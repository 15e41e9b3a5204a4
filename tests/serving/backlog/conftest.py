"""One pool of workers for all tests of backlogs: starting one takes seconds."""

from collections.abc import Iterator

import pytest

from serving.backlog.pool import PoolEngine
from tests.serving.backlog.backlogs import load_deadly


@pytest.fixture(scope="session")
def pool() -> Iterator[PoolEngine]:
    with PoolEngine(load_deadly, processes=2) as engine:
        yield engine
