"""How many days each kind of data is kept. Knows nothing of how it is let go. The settings carry the same names."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Periods:
    """None: for ever.

    keep_cases_days, keep_photos_days : since anything happened to a decided case
    keep_messages_days : delivered messages
    keep_requests_days : answers kept for repeated requests, and ended scoring jobs
    keep_sign_ins_days : ended sessions, spent links, dead tokens, failed attempts, and the trail of signing in
    keep_backlogs_days : ended backlogs asked for over the API
    """

    keep_cases_days: float | None = 1095
    keep_photos_days: float | None = None
    keep_messages_days: float | None = 90
    keep_requests_days: float | None = 30
    keep_sign_ins_days: float | None = 180
    keep_backlogs_days: float | None = 30
