"""Runs migrations on the connection that `serving.migration` hands over. Reads no settings."""

from typing import Any, Literal

from alembic import context

from serving.tables import UtcTime, metadata


def _render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our own column type as what it is in the database: a migration must not change with the code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=_render,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
