"""What is due, by a clock that may have been wrong: one that ran ahead and was set back leaves times far in the future.

A time further ahead than any wait that is ever set can't have been meant, and counts as come. Taking something over too
early is harmless where a fence guards it. Knows no tables.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa


def is_due(column: sa.Column[datetime], *, at: datetime, longest: timedelta) -> sa.ColumnElement[bool]:
    """Tell whether a time has come. longest : more than any wait that is set in that column"""
    return sa.or_(column <= at, column > at + longest)


def is_ahead(time: datetime, *, at: datetime, longest: timedelta) -> bool:
    """Tell whether a time is still to come, and may have been meant."""
    return at < time <= at + longest
