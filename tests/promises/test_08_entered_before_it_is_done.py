"""Promise 8: what is changed outside the database is entered in the trail first, so that a crash hides nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from models.registry import ModelRegistry
from serving.audit import AuditEvent
from serving.erasure import Target
from serving.export import export_outcomes
from serving.house import House
from serving.model_records import PromotionDraft, RollbackDraft
from serving.records import Role
from tests.serving.conftest import user_of
from tests.serving.used import ID, use_everything


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_is_removed_is_entered_before_it_goes(scoring_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    use_everything(scoring_house)
    folder = export_outcomes(
        scoring_house.store, scoring_house.photo_intake, scoring_house.settings.outcomes_dir, by="test-lead"
    )
    (job,) = scoring_house.backlogs.all()
    target = Target.parse(f"taobao/{ID}")
    for place, action, subject in (
        ("serving.backlog_jobs.remove_folder", "backlog_removed", f"backlog:{job.job_id}"),
        ("serving.reissue.remove_folder", "outcomes_revoked", f"export:{folder.name}"),
    ):
        with monkeypatch.context() as fatal:
            fatal.setattr(place, killed)
            with pytest.raises(KeyboardInterrupt):
                scoring_house.eraser().erase(target, by="test-lead", reason="asked by the buyer")
        assert scoring_house.store.audit_trail(subject=subject)[-1].action == action
    assert scoring_house.eraser().erase(target, by="test-lead", reason="asked by the buyer").is_whole


def test_what_is_written_to_a_folder_is_entered_before_it_is_there(
    scoring_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_everything(scoring_house)
    store, directory, rename = scoring_house.store, scoring_house.settings.outcomes_dir, Path.rename

    def folders() -> set[str]:
        return {manifest.parent.name for manifest in directory.glob("*/manifest.json")}

    def killed_there(draft: Path, target: Path) -> Path:
        if target.parent == directory:
            raise KeyboardInterrupt
        return rename(draft, target)

    def export() -> Path:
        return export_outcomes(store, scoring_house.photo_intake, directory, by="test-lead")

    def cut_off(call: Callable[[], object]) -> AuditEvent:
        before = folders()
        with monkeypatch.context() as fatal:
            fatal.setattr(Path, "rename", killed_there)
            with pytest.raises(KeyboardInterrupt):
                call()
        assert folders() == before
        return store.audit_trail()[-1]

    entry, folder = cut_off(export), export()
    assert (entry.action, entry.actor, entry.subject) == ("outcomes_exported", "test-lead", f"export:{folder.name}")
    target, reason = Target.parse(f"taobao/{ID}"), "asked by the buyer"
    entry = cut_off(lambda: scoring_house.eraser().erase(target, by="test-lead", reason=reason))
    (revoked,) = scoring_house.eraser().erase(target, by="test-lead", reason=reason).revoked
    assert (entry.action, entry.subject) == ("outcomes_revoked", f"export:{folder.name}")
    assert entry.detail == {"replaced_by": revoked.replaced_by}
    assert folders() == {revoked.replaced_by}


def test_a_move_of_the_champion_is_entered_before_it_is_made(
    house: House, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    engineer = user_of(house, Role.ENGINEER)

    def promote() -> object:
        return house.models.promote(2, PromotionDraft(instead_of=1, reason="better"), by=engineer)

    def roll_back() -> object:
        return house.models.roll_back(RollbackDraft(instead_of=2, reason="worse after all"), by=engineer)

    def champion() -> int | None:
        found = registry.named("champion")
        return found.number if found is not None else None

    for move, entered, before, after in (
        (promote, ("model_promoted", "model:2"), 1, 2),
        (roll_back, ("model_rolled_back", "model:1"), 2, 1),
    ):
        with monkeypatch.context() as fatal:
            fatal.setattr(MlflowClient, "set_registered_model_tag", killed)
            with pytest.raises(KeyboardInterrupt):
                move()
        entry = house.store.audit_trail()[-1]
        assert (entry.action, entry.subject, entry.actor) == (*entered, "test-engineer")
        assert (champion(), registry.promotions()[-1].to_number) == (before, before)
        move()
        assert champion() == after
