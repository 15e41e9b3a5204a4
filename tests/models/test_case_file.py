"""The digest of what a suggestion was made from changes with the case, its photos' bytes and the date alone."""

import hashlib
from datetime import date

import pytest

from models.case_file import CaseFile, input_digest, photo_digest
from models.domain import parse_case
from tests.builders import build_case

ON = date(2026, 6, 1)
PHOTOS = [
    {"photo_id": "p1", "role": "listing", "filed_by": "seller"},
    {"photo_id": "p2", "role": "received", "filed_by": "buyer"},
]
FILE = CaseFile(build_case(photos=PHOTOS), {"p1": b"one", "p2": b"two"})


def test_a_photo_is_known_by_its_bytes() -> None:
    assert photo_digest(b"one") == "sha256:" + hashlib.sha256(b"one").hexdigest()


def test_the_same_input_has_the_same_digest_whatever_the_order_of_its_photos() -> None:
    turned = CaseFile(FILE.case, {"p2": b"two", "p1": b"one"})
    again = CaseFile(parse_case(FILE.case.model_dump_json()), dict(FILE.photos))
    assert input_digest(turned, ruled_on=ON) == input_digest(again, ruled_on=ON) == input_digest(FILE, ruled_on=ON)


@pytest.mark.parametrize(
    "other",
    [
        CaseFile(build_case(photos=PHOTOS, buyer_statement="碎了"), FILE.photos),
        CaseFile(build_case(photos=PHOTOS, order={"paid_minor": 5901}), FILE.photos),
        CaseFile(build_case(photos=PHOTOS[:1]), FILE.photos),
        CaseFile(FILE.case, {"p1": b"one", "p2": b"twO"}),
        CaseFile(FILE.case, {"p1": b"one"}),
        CaseFile(FILE.case, {"p1": b"two", "p2": b"one"}),
    ],
)
def test_a_changed_case_or_photo_changes_the_digest(other: CaseFile) -> None:
    assert input_digest(other, ruled_on=ON) != input_digest(FILE, ruled_on=ON)


def test_another_date_of_ruling_changes_the_digest() -> None:
    assert input_digest(FILE, ruled_on=date(2026, 6, 2)) != input_digest(FILE, ruled_on=ON)


def test_bytes_that_belong_to_no_photo_of_the_case_change_nothing() -> None:
    more = CaseFile(FILE.case, {**FILE.photos, "p9": b"nine"})
    assert input_digest(more, ruled_on=ON) == input_digest(FILE, ruled_on=ON)
