"""Fixtures of the wired service, for what is measured over it."""

from tests.serving.conftest import (  # noqa: F401
    database_kind,
    database_url,
    empty_database,
    scoring_house,
    settings,
)
