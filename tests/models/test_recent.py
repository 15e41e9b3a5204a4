"""What was computed lately: the values used last, None among them, and never more than allowed."""

from models.recent import Recent


def test_the_value_used_longest_ago_goes_first() -> None:
    recent: Recent[str, int | None] = Recent(capacity=2)
    recent.keep("a", 1)
    recent.keep("b", None)
    assert recent.find("a") == (1,)
    recent.keep("c", 3)
    assert recent.find("b") is None
    assert (recent.find("a"), recent.find("c")) == ((1,), (3,))


def test_a_value_of_none_is_told_from_no_value() -> None:
    recent: Recent[str, int | None] = Recent(capacity=2)
    recent.keep("unreadable", None)
    assert recent.find("unreadable") == (None,)
    assert recent.find("absent") is None
