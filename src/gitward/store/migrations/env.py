"""Alembic's entry point: migrations run on the connection that `store.migrate` hands over."""

from typing import Any, Literal

from alembic import context

from gitward.store.database import UtcDateTime
from gitward.store.schema import metadata


def _render(kind: str, value: Any, _context: Any) -> str | Literal[False]:
    """New migrations name SQLAlchemy's own type, so that old ones never depend on our code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(value, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=_render,
)
context.run_migrations()
