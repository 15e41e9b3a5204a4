"""Promise 8: any edit, deletion, swap or truncation of the audit trail is found, against an exported head.

So is any change of what was decided, for the entry of a decision answers for its row.
"""

import contextlib
import hashlib
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from serving.audit import GENESIS, AuditHead, Broken, Verified, digest_content, digest_link, places_in, places_text
from serving.store import Store, trail
from serving.tables import audit_events, cases, decision_events, users

START = datetime(2026, 3, 1, tzinfo=UTC)
REASON = "包装完好，照片里的裂痕在签收前就有。" * 20
Tamper = Callable[[Connection, random.Random, int], None]


def filled(path: Path, n_entries: int) -> Store:
    """Return a store whose trail holds that many entries, each of a decision."""
    store = Store(f"sqlite:///{path}")
    store.migrate()
    with store.database.write() as connection:
        connection.execute(users.insert().values(name="li", role="lead", created_at=START))
        case = {"platform": "taobao", "case_id": "TB-1", "claim": "damaged", "requested": "refund", "paid_minor": 1}
        case |= {"currency": "CNY", "title": "", "status": "decided", "version": 1, "suggestion_state": "none"}
        connection.execute(cases.insert().values(**case, opened_at=START, created_at=START, updated_at=START))
        entries, decisions = zip(*map(_decided, range(n_entries)), strict=True)
        connection.execute(audit_events.insert(), list(entries))
        connection.execute(decision_events.insert(), list(decisions))
    return store


def _decided(place: int) -> tuple[dict[str, object], dict[str, object]]:
    """Return an entry and the row that it answers for."""
    at = START + timedelta(seconds=place)
    payload = json.dumps({"ruling": "refund", "remedy": {"refund_minor": place}, "reason": REASON}, ensure_ascii=False)
    detail = {"decision_id": f"d-{place}", "payload_sha256": hashlib.sha256(payload.encode()).hexdigest()}
    entry = {
        "at": at, "actor": f"person-{place % 40}", "action": "decided", "subject": f"taobao/TB-{place % 9_000}",
        "detail": json.dumps(detail),
    }  # fmt: skip
    decision = {
        "event_id": f"d-{place}", "case_key": 1, "version": 1, "kind": "decision", "stage": "first_review",
        "turn": place, "is_end": False, "by_user": 1, "at": at, "payload": payload,
    }  # fmt: skip
    return entry, decision


def _edit(column: str, value: object) -> Tamper:
    def tamper(connection: Connection, rng: random.Random, n_entries: int) -> None:
        place = rng.randint(1, n_entries)
        connection.execute(audit_events.update().where(audit_events.c.place == place).values({column: value}))

    return tamper


def _delete(connection: Connection, rng: random.Random, n_entries: int) -> None:
    connection.execute(audit_events.delete().where(audit_events.c.place == rng.randint(1, n_entries - 1)))


def _delete_and_close_up(connection: Connection, rng: random.Random, n_entries: int) -> None:
    place = rng.randint(1, n_entries - 1)
    connection.execute(audit_events.delete().where(audit_events.c.place == place))
    _renumber(connection, first=place + 1, by=-1)


def _swap(connection: Connection, rng: random.Random, n_entries: int) -> None:
    first, second = rng.sample(range(1, n_entries + 1), 2)
    for old, new in ((first, -1), (second, first), (-1, second)):
        connection.execute(audit_events.update().where(audit_events.c.place == old).values(place=new))


def _cut_off(connection: Connection, rng: random.Random, n_entries: int) -> None:
    kept = rng.randint(0, n_entries - 1)
    connection.execute(audit_events.delete().where(audit_events.c.place > kept))


def _put_in(connection: Connection, rng: random.Random, n_entries: int) -> None:
    """Put an entry into the middle, with the digests it would have had."""
    place = rng.randint(1, n_entries)
    _renumber(connection, first=place, by=1)
    connection.execute(audit_events.insert().values(_entry(connection, place)))


def _write_anew(connection: Connection, rng: random.Random, n_entries: int) -> None:
    """Drop the last entry and chain another in its place, as whoever knows the algorithm can."""
    connection.execute(audit_events.delete().where(audit_events.c.place == n_entries))
    connection.execute(audit_events.insert().values(_entry(connection, n_entries)))


def _erase_in_silence(connection: Connection, rng: random.Random, n_entries: int) -> None:
    connection.execute(
        audit_events.update()
        .where(audit_events.c.place == rng.randint(1, n_entries))
        .values(actor=None, subject=None, detail=None, salt=None)
    )


def _rule_otherwise(connection: Connection, rng: random.Random, n_entries: int) -> None:
    payload = sa.func.replace(decision_events.c.payload, "refund_minor", "refund_major")
    chosen = decision_events.c.event_id == f"d-{rng.randrange(n_entries)}"
    connection.execute(decision_events.update().where(chosen).values(payload=payload))


def _drop_a_decision(connection: Connection, rng: random.Random, n_entries: int) -> None:
    chosen = decision_events.c.event_id == f"d-{rng.randrange(n_entries)}"
    connection.execute(decision_events.delete().where(chosen))


def _renumber(connection: Connection, *, first: int, by: int) -> None:
    moved = audit_events.update().where(sa.func.abs(audit_events.c.place) >= first)
    connection.execute(moved.values(place=-audit_events.c.place))
    connection.execute(audit_events.update().where(audit_events.c.place < 0).values(place=by - audit_events.c.place))


def _entry(connection: Connection, place: int) -> dict[str, object]:
    before = sa.select(audit_events.c.digest).where(audit_events.c.place == place - 1)
    previous = connection.execute(before).scalar_one_or_none() or GENESIS
    content = digest_content("forger", "taobao/TB-1", "{}", salt="00")
    digest = digest_link(place=place, at=START, action="decided", content_digest=content, previous=previous)
    return {
        "at": START, "actor": "forger", "action": "decided", "subject": "taobao/TB-1", "detail": "{}",
        "salt": "00", "place": place, "content_digest": content, "digest": digest,
    }  # fmt: skip


TAMPERINGS: dict[str, Tamper] = {
    "time": _edit("at", START - timedelta(days=1)),
    "actor": _edit("actor", "somebody else"),
    "action": _edit("action", "decision_withdrawn"),
    "subject": _edit("subject", "jd/JD-1"),
    "detail": _edit("detail", "{}"),
    "salt": _edit("salt", "00"),
    "content digest": _edit("content_digest", "ab" * 32),
    "digest": _edit("digest", "ab" * 32),
    "place": _edit("place", 10**9),
    "outside the chain": _edit("place", None),
    "deletion": _delete,
    "deletion, closed up": _delete_and_close_up,
    "swap": _swap,
    "cut end": _cut_off,
    "insertion": _put_in,
    "last entry written anew": _write_anew,
    "erasure in silence": _erase_in_silence,
    "a decision's remedy": _rule_otherwise,
    "a decision's row": _drop_a_decision,
}


class _UndoneError(Exception):
    """Takes a tampering back by failing its transaction."""


def verdict_after(store: Store, tamper: Tamper, rng: random.Random, head: AuditHead) -> Verified | Broken:
    found: list[Verified | Broken] = []
    with contextlib.suppress(_UndoneError), store.database.alter() as connection:
        tamper(connection, rng, head.place)
        found.append(trail.verify(connection, heads=[head]))
        raise _UndoneError
    return found[0]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return filled(tmp_path_factory.mktemp("trail") / "review.db", 300)


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found(small: Store, name: str) -> None:
    rng, head = random.Random(name), small.audit_head()
    for _ in range(20):
        assert isinstance(verdict_after(small, TAMPERINGS[name], rng, head), Broken)
    assert small.verify_audit(heads=[head]) == Verified(head, 0)


def test_a_cut_end_shows_only_against_a_head(small: Store) -> None:
    rng, head = random.Random(0), small.audit_head()
    with contextlib.suppress(_UndoneError), small.database.alter() as connection:
        _cut_off(connection, rng, head.place)
        assert isinstance(trail.verify(connection), Verified)
        assert isinstance(trail.verify(connection, heads=[head]), Broken)
        raise _UndoneError


def test_an_erased_subject_leaves_a_chain_that_verifies(tmp_path: Path) -> None:
    store = filled(tmp_path / "review.db", 300)
    head = store.audit_head()
    with store.database.write() as connection:
        about = audit_events.c.subject == "taobao/TB-7"
        assert trail.erase(connection, about, erasure="erasure:1", actor="system:test", at=START) == 1
    assert store.verify_audit(heads=[head]) == Verified(store.audit_head(), 1)
    assert store.audit_trail(subject="taobao/TB-7") == []
    with store.database.read() as connection:
        rows = connection.execute(sa.select(audit_events)).all()
    assert "TB-7'" not in str(rows)


def test_places_are_written_as_runs_and_read_back() -> None:
    assert places_text([9, 3, 4, 5]) == "3-5,9"
    assert list(places_in("3-5,9")) == [3, 4, 5, 9]
    assert list(places_in(places_text([]))) == []


@pytest.mark.long
def test_a_hundred_thousand_entries_verify_in_five_seconds(tmp_path: Path, measured: Callable[[str], None]) -> None:
    store = filled(tmp_path / "review.db", 100_000)
    rng, head, slowest, n_found = random.Random(8), store.audit_head(), 0.0, 0
    for name in TAMPERINGS:
        began = time.process_time()
        n_found += isinstance(verdict_after(store, TAMPERINGS[name], rng, head), Broken)
        slowest = max(slowest, time.process_time() - began)
    began = time.process_time()
    assert store.verify_audit(heads=[head]) == Verified(head, 0)
    took = time.process_time() - began
    measured(
        f"{n_found} of {len(TAMPERINGS)} kinds of tampering found among 100,000 entries; an intact trail verified in "
        f"{took:.1f} s of CPU time, the slowest tampering made and found in {slowest:.1f} s"
    )
    assert n_found == len(TAMPERINGS)
    assert max(took, slowest) < 5
