"""The promises' tests have a short form, run always, and a long one, marked `long`; both say what they measured.

`make test-promises` runs both and writes what was measured into docs/promises.md.
"""

import datetime
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving.backlog.conftest import mixed, pool  # noqa: F401  fixtures of a backlog
from tests.serving.conftest import (  # noqa: F401  fixtures of the wired service
    client,
    database_kind,
    database_url,
    empty_database,
    empty_postgres,
    four_models,
    house,
    keeper,
    postgres,
    registry,
    scoring_client,
    scoring_house,
    settings,
)

_MEASURED: dict[int, list[str]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promises-doc", type=Path, help="Markdown table to write the measured results into.")


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say what was measured of the promise whose number the test's file carries.

    What several tests say in the same words is written once, with their number.
    """
    number = re.match(r"test_(\d+)_", request.path.name)
    assert number is not None
    return lambda text: _MEASURED.setdefault(int(number[1]), []).append(text)


def pytest_sessionfinish(session: pytest.Session) -> None:
    document: Path | None = session.config.getoption("promises_doc", None)
    if document is not None and _MEASURED and session.testsfailed == 0:
        text = document.read_text(encoding="utf-8")
        document.write_text(_with_results(text, today=datetime.date.today()), encoding="utf-8")


def _with_results(text: str, *, today: datetime.date) -> str:
    """Return the document with the last cell of each measured promise's row replaced."""
    lines = []
    for line in text.splitlines():
        row = re.match(r"\| (\d+) \|", line)
        if row is not None and int(row[1]) in _MEASURED:
            often = Counter(_MEASURED[int(row[1])])
            said = "; ".join(text if count == 1 else f"{text} ({count} kinds)" for text, count in often.items())
            line = f"{line.rsplit('|', 2)[0]}| {said} ({today.isoformat()}) |"
        lines.append(line)
    return "\n".join(lines) + "\n"
