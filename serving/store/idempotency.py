"""Idempotency keys: the same request again gets the same answer; another request under the key is refused."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from serving.records import User
from serving.refusals import KeyReusedError
from serving.tables import idempotency_keys


def earlier_answer(connection: Connection, *, user: User, key: str, request_digest: str, at: datetime) -> str | None:
    """Return the answer given under `key`, or claim the key and return None.

    A request still in flight holds the database's lock on the key, so that the second waits for the first.
    Raises KeyReusedError when the key came with another request.
    """
    try:
        with connection.begin_nested():
            connection.execute(
                idempotency_keys.insert().values(
                    user_key=user.user_key, key=key, request_digest=request_digest, created_at=at
                )
            )
        return None
    except IntegrityError:
        row = connection.execute(sa.select(idempotency_keys).where(_is(user, key))).one()
        if row.request_digest != request_digest:
            raise KeyReusedError(key) from None
        answer: str | None = row.answer
        return answer


def keep_answer(connection: Connection, *, user: User, key: str, answer: str) -> None:
    connection.execute(idempotency_keys.update().where(_is(user, key)).values(answer=answer))


def _is(user: User, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(idempotency_keys.c.user_key == user.user_key, idempotency_keys.c.key == key)
