"""Snapshots of outcomes lose erased cases: the rest is sealed anew, the old name refused for ever."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from models.errors import InputError
from models.snapshot import MANIFEST, REVOKED, add_photo, seal, verify, write_rows
from serving.reissue import reissue
from training.snapshot import read_snapshot


def case(case_id: str, photo: str | None = None) -> dict[str, Any]:
    order = {"order_id": "o", "buyer_id": "b", "seller_id": "s", "paid_minor": 1, "currency": "CNY"}
    photos = [{"photo_id": "p", "role": "received", "filed_by": "buyer", "path": photo}] if photo else []
    return {
        "case_id": case_id, "platform": "jd", "opened_at": "2026-03-02T10:00:00Z", "claim": "damaged",
        "requested": "refund", "listing": {}, "order": {**order, "goods_state": "received"}, "photos": photos,
    }  # fmt: skip


def sealed(directory: Path, *case_ids: str, platform: str | None = "jd") -> Path:
    draft = directory / ".new-draft"
    draft.mkdir(parents=True)
    rows = [case(case_id, add_photo(draft, case_id.encode(), ending=".jpg")) for case_id in case_ids]
    write_rows(draft / "cases.jsonl", rows)
    write_rows(draft / "outcomes.jsonl", [{"case_id": c, "platform": platform, "ruling": "refund"} for c in case_ids])
    return seal(draft, directory, about={"n_outcomes": len(rows), "since": None})


def is_gone(row: Any) -> bool:
    return bool(row["case_id"] == "gone")


@pytest.mark.parametrize("platform", ["jd", None])
def test_the_rest_is_sealed_under_a_new_name_and_reads_as_before(tmp_path: Path, platform: str | None) -> None:
    old = sealed(tmp_path, "gone", "stays", platform=platform)
    other = sealed(tmp_path, "another")
    (revoked,) = reissue(tmp_path, is_erased=is_gone)
    assert (revoked.name, old.exists(), other.exists()) == (old.name, False, True)
    new = tmp_path / str(revoked.replaced_by)
    assert [one.key for one in read_snapshot(new)] == ["jd/stays"]
    assert [path.read_bytes() for path in (new / "photos").iterdir()] == [b"stays"]
    manifest = json.loads((new / MANIFEST).read_text())
    assert (manifest["n_outcomes"], manifest["replaces"]) == (1, old.name)
    assert reissue(tmp_path, is_erased=is_gone) == []


def test_a_revoked_snapshot_is_refused_under_any_name_and_not_made_again(tmp_path: Path) -> None:
    old = sealed(tmp_path, "gone", "stays")
    copy = shutil.copytree(old, tmp_path / "elsewhere" / "renamed")
    verify(copy)
    (revoked,) = reissue(tmp_path, is_erased=is_gone)
    shutil.copy(tmp_path / REVOKED, copy.parent)
    with pytest.raises(InputError, match=f"was revoked.*{revoked.replaced_by} holds the rest"):
        read_snapshot(copy)
    with pytest.raises(InputError, match="was revoked"):
        sealed(tmp_path, "gone", "stays")
    (copy.parent / REVOKED).write_text("{")
    with pytest.raises(InputError, match="can't be read"):
        verify(copy)


def test_what_has_nothing_left_or_cant_be_read_is_revoked_without_another(tmp_path: Path) -> None:
    sealed(tmp_path, "gone")
    broken = sealed(tmp_path, "whatever")
    (broken / "cases.jsonl").write_text("{")
    found = reissue(tmp_path, is_erased=is_gone)
    assert [one.replaced_by for one in found] == [None, None]
    assert [path.name for path in tmp_path.iterdir()] == [REVOKED]


def test_a_folder_that_isnt_there_holds_nothing(tmp_path: Path) -> None:
    assert reissue(tmp_path / "none", is_erased=is_gone) == []
