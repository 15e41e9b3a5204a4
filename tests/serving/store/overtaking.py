"""One writer overtaken by another, at a statement of one's choice. On SQLite the second simply waits for its turn."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa

from serving.house import House

_HELD_UP_S = 0.7
"""Whoever isn't done by then waits for a lock of the other's."""


def overtaken(house: House, slow: Callable[[], Any], quick: Callable[[], Any], *, at: str) -> tuple[Any, Any]:
    """Begin `slow`; where it comes to a statement that begins with `at`, let `quick` run first, as far as locks let it.

    Returns what each gave or raised.
    """
    reached, done, slow_threads = threading.Event(), threading.Event(), set()

    def begin() -> Any:
        slow_threads.add(threading.get_ident())
        return slow()

    def hold_up(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if threading.get_ident() in slow_threads and statement.startswith(at) and not reached.is_set():
            reached.set()
            done.wait(_HELD_UP_S)

    engine = house.store.database.engine
    sa.event.listen(engine, "before_cursor_execute", hold_up)
    try:
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(begin)
            assert reached.wait(60), f"no statement began with {at!r}"
            second = pool.submit(quick)
            second.add_done_callback(lambda _: done.set())
    finally:
        sa.event.remove(engine, "before_cursor_execute", hold_up)
    given = [one.exception() or one.result() for one in (first, second)]
    return given[0], given[1]
