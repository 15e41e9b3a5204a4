"""Appeals (申诉): filed on a decided case, heard by somebody who hasn't decided on it."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from models.vocabulary import Party
from serving.audit import Action
from serving.desk_records import Appeal, AppealDraft
from serving.records import CaseKey, CaseStatus, User
from serving.refusals import NothingToReviewError
from serving.store import trail
from serving.store.cases import key_of, row_of
from serving.tables import appeals, cases, users


def file(connection: Connection, key: CaseKey, draft: AppealDraft, *, by: User, at: datetime) -> Appeal:
    """Open a decided case for an appeal; a case is appealed once. Raises UnknownError, NothingToReviewError."""
    row = row_of(connection, key, for_change=True)
    if row.status != CaseStatus.DECIDED:
        raise NothingToReviewError(f"only a decided case can be appealed; this one is {row.status}")
    try:
        with connection.begin_nested():
            connection.execute(
                appeals.insert().values(
                    case_key=row.id,
                    turn=0,
                    filed_by=draft.filed_by.value,
                    reason=draft.reason,
                    by_user=by.user_key,
                    at=at,
                )
            )
    except IntegrityError as error:
        raise NothingToReviewError("this case was appealed before") from error
    connection.execute(
        cases.update().where(cases.c.id == row.id).values(status=CaseStatus.APPEALED.value, assigned_to=None)
    )
    trail.record(
        connection,
        Action.APPEAL_FILED,
        actor=by.name,
        subject=str(key),
        at=at,
        detail={"filed_by": draft.filed_by.value},
    )
    return Appeal(
        platform=key.platform,
        case_id=key.case_id,
        filed_by=draft.filed_by,
        reason=draft.reason,
        noted_by=by.name,
        filed_at=at,
    )


def of_case(connection: Connection, case_key: int) -> Appeal | None:
    row = connection.execute(
        sa.select(appeals, users.c.name)
        .join(users, users.c.id == appeals.c.by_user)
        .where(appeals.c.case_key == case_key)
    ).first()
    if row is None:
        return None
    key = key_of(connection, case_key)
    return Appeal(
        platform=key.platform,
        case_id=key.case_id,
        filed_by=Party(row.filed_by),
        reason=row.reason,
        noted_by=row.name,
        filed_at=row.at,
    )
