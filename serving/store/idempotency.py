"""Idempotency keys: a request under a key has one effect, and the same request again the same answer.

A request reserves its key before it does anything. The transaction that makes its change marks the key in the same
commit, and is refused if the reservation was taken over meanwhile: so no key has two effects, whoever dies when.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from models.domain import Frozen
from serving.records import User
from serving.refusals import AnswerLostError, KeyReusedError, RequestInFlightError
from serving.store.clock import is_ahead
from serving.store.database import Database
from serving.tables import idempotency_keys as keys

_HELD = timedelta(minutes=2)
"""How long a request may be under way before another under its key takes over."""


@dataclass(frozen=True)
class Reservation:
    """fence : rises whenever the key is taken over; what an older holder would change is refused"""

    row: int
    fence: int


class KeptAnswer(Frozen):
    """An answer as it is repeated. etag, content_type : its headers; body : JSON text"""

    status: int
    body: str
    content_type: str = "application/json"
    etag: str | None = None


current: ContextVar[Reservation | None] = ContextVar("reservation", default=None)
"""The reservation that whatever changes now belongs to."""


class RequestKeys:
    """The keys, each method one transaction. database : shared with the rest of the store"""

    def __init__(self, database: Database) -> None:
        self.database = database

    def reserve(self, user: User, key: str, *, request_digest: str) -> Reservation | KeptAnswer:
        """Raises KeyReusedError, RequestInFlightError, AnswerLostError."""
        with self.database.alter() as connection:
            at = datetime.now(UTC)
            return reserve(connection, user=user, key=key, request_digest=request_digest, at=at, hold=_HELD)

    def keep_answer(self, reservation: Reservation, answer: KeptAnswer) -> None:
        with self.database.alter() as connection:
            keep_answer(connection, reservation, answer)

    def release(self, reservation: Reservation) -> None:
        with self.database.alter() as connection:
            release(connection, reservation)


def reserve(
    connection: Connection, *, user: User, key: str, request_digest: str, at: datetime, hold: timedelta
) -> Reservation | KeptAnswer:
    """Reserve a key for a request, or return the answer that this request got before.

    Raises KeyReusedError when the key came with another request, RequestInFlightError while the same one is under way,
    AnswerLostError when it had its effect and died before its answer was kept.
    """
    query = sa.select(keys).where(keys.c.user_key == user.user_key, keys.c.key == key).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        try:
            with connection.begin_nested():
                inserted = connection.execute(
                    keys.insert().values(
                        user_key=user.user_key,
                        key=key,
                        request_digest=request_digest,
                        created_at=at,
                        fence=1,
                        held_until=at + hold,
                    )
                )
        except IntegrityError as error:
            raise RequestInFlightError from error
        return Reservation((inserted.inserted_primary_key or (0,))[0], 1)
    if row.request_digest != request_digest:
        raise KeyReusedError(key)
    if row.answer is not None:
        return KeptAnswer.model_validate_json(row.answer)
    if is_ahead(row.held_until, at=at, longest=hold):
        raise RequestInFlightError
    if row.done_at is not None:
        raise AnswerLostError
    connection.execute(keys.update().where(keys.c.id == row.id).values(fence=row.fence + 1, held_until=at + hold))
    return Reservation(row.id, row.fence + 1)


def mark(connection: Connection, *, at: datetime) -> None:
    """Tie what this transaction changes to the reservation of its request, if it has one.

    Raises RequestInFlightError, so that nothing is changed, when the reservation was taken over.
    """
    reservation = current.get()
    if reservation is not None:
        _update(connection, reservation, {"done_at": at})


def answer_with(connection: Connection, status: int, body: BaseModel) -> None:
    """Keep the answer of the request in the transaction of its effect, so that neither is there without the other."""
    reservation = current.get()
    if reservation is not None:
        answer = KeptAnswer(status=status, body=body.model_dump_json())
        _update(connection, reservation, {"answer": answer.model_dump_json()})


def keep_answer(connection: Connection, reservation: Reservation, answer: KeptAnswer) -> None:
    """Keep the answer of a request unless it was kept with its effect."""
    connection.execute(
        keys.update()
        .where(keys.c.id == reservation.row, keys.c.fence == reservation.fence, keys.c.answer.is_(None))
        .values(answer=answer.model_dump_json())
    )


def release(connection: Connection, reservation: Reservation) -> None:
    """Give a key back whose request changed nothing, so that it may be tried again at once."""
    connection.execute(
        keys.delete().where(
            keys.c.id == reservation.row,
            keys.c.fence == reservation.fence,
            keys.c.answer.is_(None),
            keys.c.done_at.is_(None),
        )
    )


def _update(connection: Connection, reservation: Reservation, values: dict[str, object]) -> None:
    changed = connection.execute(
        keys.update().where(keys.c.id == reservation.row, keys.c.fence == reservation.fence).values(values)
    )
    if changed.rowcount != 1:
        raise RequestInFlightError
