"""The API's tests are the store's too: each runs on SQLite and on PostgreSQL."""

from tests.serving.conftest import on_both_databases as pytest_generate_tests  # noqa: F401
