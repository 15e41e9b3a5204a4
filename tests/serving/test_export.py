"""Exported outcomes: what people decided, in the case format, masked, whole or not there."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.domain import DecisionDraft, Outcome, parse_case
from models.vocabulary import Party, Ruling, Stage, StatementLabel
from serving.case_files import read_case_file
from serving.desk_records import AppealDraft, CorrectionDraft
from serving.export import export_outcomes
from serving.house import House
from serving.records import CaseKey, Role, WithdrawalDraft
from serving.refusals import StorageError
from tests.builders import build_case, hours, photo_bytes
from tests.serving.conftest import user_of
from training.snapshot import read_snapshot

CHAT = [
    {"message_id": "m1", "at": hours(50), "speaker": "buyer", "text": "碎了，我电话13812345678", "photo_ids": ["p1"]}
]
PHOTOS = [
    {"photo_id": "p1", "role": "received", "filed_by": "buyer", "path": "p1.jpg"},
    {"photo_id": "p2", "role": "waybill", "filed_by": "buyer", "path": "p2.jpg"},
]


def decide(house: House, case_id: str = "TB-1", *, ruling: Ruling = Ruling.REFUND, **changes: Any) -> CaseKey:
    """Take a case in and decide it."""
    case = build_case(case_id=case_id, chat=CHAT, photos=PHOTOS, **changes)
    key = CaseKey(case.platform, case_id)
    house.store.take_in(case, by=user_of(house, Role.SERVICE))
    house.store.add_photo(key, "p1", house.photo_intake.keep(photo_bytes()), by=user_of(house, Role.SERVICE))
    draft = DecisionDraft(ruling=ruling, reason="致电13812345678核实")
    house.store.decide(key, draft, by=user_of(house, Role.ARBITRATOR), input_digest="sha256:0")
    return key


def export(house: House, since: datetime | None = None, until: datetime | None = None) -> Path:
    return export_outcomes(
        house.store, house.photo_intake, house.settings.outcomes_dir, by="system:test", since=since, until=until
    )


def rows(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_an_export_is_in_the_case_format_with_its_photos(house: House) -> None:
    decide(house)
    folder = export(house)
    outcome = Outcome.model_validate_json(rows(folder / "outcomes.jsonl")[0])
    assert (outcome.case_id, outcome.ruling, outcome.suggestion_shown) == ("TB-1", Ruling.REFUND, False)
    case = parse_case(rows(folder / "cases.jsonl")[0])
    assert case.photos[0].path is not None
    assert (folder / case.photos[0].path).read_bytes() == photo_bytes()
    assert case.photos[1].path is None


def test_an_export_holds_no_phone_number_and_no_names(house: House) -> None:
    decide(house)
    folder = export(house)
    text = "".join((folder / name).read_text(encoding="utf-8") for name in ("outcomes.jsonl", "cases.jsonl"))
    for secret in ("13812345678", "test-arbitrator", "b-1", "o-1"):
        assert f'"{secret}"' not in text
        assert "13812345678" not in text
    assert "[phone]" in text


def test_the_manifest_pins_every_file(house: House) -> None:
    decide(house)
    folder = export(house)
    manifest = json.loads((folder / "manifest.json").read_text())
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"manifest.json"}
    assert set(manifest["files"]) == found
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_the_same_decisions_give_the_same_folder(house: House) -> None:
    decide(house)
    first = export(house)
    assert export(house) == first
    decide(house, "TB-2")
    assert export(house) != first
    assert len(list(house.settings.outcomes_dir.glob("*/manifest.json"))) == 2


def test_only_decisions_that_stand_in_the_range_are_exported(house: House) -> None:
    key = decide(house)
    now = datetime.now(UTC)
    assert rows(export(house, since=now + timedelta(hours=1)) / "outcomes.jsonl") == []
    assert rows(export(house, until=now - timedelta(hours=1)) / "outcomes.jsonl") == []
    assert len(rows(export(house, since=now - timedelta(hours=1)) / "outcomes.jsonl")) == 1
    house.store.withdraw(key, WithdrawalDraft(), by=user_of(house, Role.ARBITRATOR))
    assert rows(export(house) / "outcomes.jsonl") == []


def test_an_appeal_gives_the_last_word_and_says_so(house: House) -> None:
    key = decide(house)
    appeal = AppealDraft(filed_by=Party.SELLER, reason="有发货视频")
    house.store.desk.file_appeal(key, appeal, by=user_of(house, Role.SERVICE))
    other = user_of(house, Role.ARBITRATOR, name="somebody else")
    draft = DecisionDraft(ruling=Ruling.DISMISS, stage=Stage.APPEAL)
    house.store.decide(key, draft, by=other, input_digest="sha256:0")
    (row,) = rows(export(house) / "outcomes.jsonl")
    outcome = Outcome.model_validate_json(row)
    assert (outcome.ruling, outcome.overturned_on_appeal) == (Ruling.DISMISS, True)


def test_a_failed_export_leaves_nothing(house: House) -> None:
    decide(house)
    house.settings.outcomes_dir.write_text("in the way")
    with pytest.raises(StorageError):
        export(house)


def test_an_export_is_noted_in_the_trail(house: House) -> None:
    folder = export(house)
    event = house.store.audit_trail(subject=f"export:{folder.name}")[0]
    assert (event.actor, event.detail) == ("system:test", {"n_outcomes": 0})


def test_the_first_blind_commit_is_kept_though_the_case_was_decided_again_with_the_suggestion_seen(
    scoring_house: House,
) -> None:
    key = decide(scoring_house, ruling=Ruling.DISMISS)
    suggestion = scoring_house.scoring.suggest(read_case_file(scoring_house.store.version(key), scoring_house.photos))
    scoring_house.store.keep_suggestion(scoring_house.store.version(key), suggestion, by="system:test")
    arbitrator = user_of(scoring_house, Role.ARBITRATOR)
    scoring_house.store.withdraw(key, WithdrawalDraft(), by=arbitrator)
    draft = DecisionDraft(ruling=Ruling.REFUND, suggestion_id=suggestion.suggestion_id)
    scoring_house.store.decide(key, draft, by=arbitrator, input_digest="sha256:0")
    outcome = Outcome.model_validate_json(rows(export(scoring_house) / "outcomes.jsonl")[0])
    assert (outcome.ruling, outcome.suggestion_shown, outcome.blind_ruling) == ("refund", True, "dismiss")
    assert outcome.model_version == suggestion.model_version


def test_a_leads_review_says_whether_it_changed_the_ruling(house: House) -> None:
    key = decide(house, ruling=Ruling.DISMISS, order={"paid_minor": 900_000})
    draft = DecisionDraft(ruling=Ruling.REFUND, stage=Stage.LEAD_REVIEW)
    house.store.decide(key, draft, by=user_of(house, Role.LEAD), input_digest="sha256:0")
    outcome = Outcome.model_validate_json(rows(export(house) / "outcomes.jsonl")[0])
    assert (outcome.stage, outcome.ruling, outcome.changed_on_lead_review) == ("lead_review", "refund", True)
    assert outcome.overturned_on_appeal is None


def test_corrections_travel_with_their_case_and_training_reads_them(house: House) -> None:
    key = decide(house)
    draft = CorrectionDraft(kind="statement", ref="m1", label=StatementLabel.CLAIMS_DAMAGE, holds=False)
    house.store.desk.correct(key, draft, by=user_of(house, Role.ARBITRATOR))
    taken_back = house.store.desk.correct(
        key, CorrectionDraft(kind="photo", ref="p1", damaged=True), by=user_of(house, Role.ARBITRATOR)
    )
    house.store.desk.withdraw_correction(key, taken_back.correction_id, by=user_of(house, Role.ARBITRATOR))
    (decided,) = read_snapshot(export(house))
    (correction,) = decided.corrections
    assert (correction.ref, correction.label, correction.holds) == ("m1", "claims_damage", False)
    assert correction.corrected_by != "test-arbitrator"
