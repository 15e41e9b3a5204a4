"""The database's waiting cases as a backlog: a fixed snapshot in, suggestions back to the cases that didn't change."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.domain import Document, parse_case
from models.vocabulary import DocumentKind, Party
from serving.backlog.pool import PoolEngine
from serving.backlog.run import score_backlog
from serving.backlog.waiting import HandedBack, hand_back, take_snapshot
from serving.case_files import read_case_file
from serving.house import House
from serving.records import CaseKey, EvidenceDraft, NewPhoto, Role
from tests.serving.backlog.backlogs import case_content
from tests.serving.conftest import user_of
from tests.suggesters import DAMAGED, build_suggester

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def keys(house: House) -> list[CaseKey]:
    """Four waiting cases; the second has a photo on file."""
    clerk = user_of(house, Role.SERVICE)
    cases = [
        parse_case(
            case_content(n, photos=[{"photo_id": "p1", "role": "received", "filed_by": "buyer"}] if n == 1 else [])
        )
        for n in range(4)
    ]
    keys = [CaseKey(case.platform, case.case_id) for case in cases]
    for case in cases:
        house.store.take_in(case, by=clerk)
    photo = NewPhoto(house.photos.put(DAMAGED), len(DAMAGED), 1, 1)
    house.store.add_photo(keys[1], "p1", photo, by=clerk)
    return keys


def test_waiting_cases_are_scored_as_at_the_desk_and_their_suggestions_stored_once(
    house: House, keys: list[CaseKey], tmp_path: Path, pool: PoolEngine
) -> None:
    out = tmp_path / "out"
    snapshot = take_snapshot(house.store, out=out)
    clerk = user_of(house, Role.SERVICE)
    video = Document(document_id="d1", kind=DocumentKind.VIDEO, filed_by=Party.BUYER)
    house.store.add_evidence(keys[2], EvidenceDraft(documents=(video,)), by=clerk)
    assert take_snapshot(house.store, out=out) == snapshot
    summary = score_backlog(str(snapshot), out=out, engine=pool, photos_dir=house.settings.photo_dir, now=NOW)
    assert summary.n_scored == 4

    assert hand_back(house.store, out=out) == HandedBack(n_kept=3, n_changed=1)
    assert read_case_file(house.store.version(keys[1]), house.photos).photos == {"p1": DAMAGED}
    desk = {
        key: build_suggester().suggest([read_case_file(house.store.version(key), house.photos)], now=NOW)[0]
        for key in keys
    }
    for key in keys:
        kept = house.store.view(key).suggestion
        assert kept == (None if key == keys[2] else desk[key])

    events = len(house.store.audit_trail())
    assert hand_back(house.store, out=out).n_kept == 3
    assert len(house.store.audit_trail()) == events, "the same suggestions again change nothing"


def test_fresh_takes_a_new_snapshot(house: House, keys: list[CaseKey], tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = take_snapshot(house.store, out=out).read_text(encoding="utf-8")
    house.store.take_in(parse_case(case_content(9)), by=user_of(house, Role.SERVICE))
    assert take_snapshot(house.store, out=out).read_text(encoding="utf-8") == before
    after = take_snapshot(house.store, out=out, fresh=True).read_text(encoding="utf-8")
    assert len(after.splitlines()) == len(keys) + 1
