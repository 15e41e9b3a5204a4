"""Bringing a database to the schema this code expects.

Knows nothing of what the tables mean.
"""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 7_316_402_118


def alembic_config(connection: Connection | None = None) -> Config:
    """Return alembic's configuration, bound to `connection` if given."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def heads() -> list[str]:
    return list(ScriptDirectory.from_config(alembic_config()).get_heads())


@cache
def newest_revision() -> str:
    """Return the revision of the schema that this code expects."""
    return heads()[0]


def current_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection, *, to: str = "head") -> None:
    """Bring the database to the newest schema, within the caller's transaction. Two starts at once are safe."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if current_revision(connection) not in heads():
        command.upgrade(alembic_config(connection), to)


def downgrade(connection: Connection, *, to: str) -> None:
    command.downgrade(alembic_config(connection), to)
