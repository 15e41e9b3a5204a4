"""Rulings on labelled cases: photos are looked at where their files are there, drawn from their truth where not."""

from datetime import date
from pathlib import Path

import numpy as np

from models.domain import Outcome
from models.truth import PhotoTruth
from tests.builders import build_case, hours, signed
from tests.suggesters import DAMAGED, INTACT, KnownScorer, build_suggester
from training.evaluate_rulings import RuledCases, rule_cases, ruling_figures
from training.photo_errors import PhotoErrors
from training.written_cases import WrittenCase


def _case() -> WrittenCase:
    case = build_case(
        photos=[{"photo_id": "p1", "role": "received", "filed_by": "buyer", "path": "photos/p1.jpg"}],
        logistics=[signed("buyer")],
        chat=[
            {"message_id": "m1", "at": hours(49), "speaker": "buyer", "text": "碎了"},
            {"message_id": "m2", "at": hours(50), "speaker": "seller", "text": "签收时是好的"},
        ],
    )
    truth = PhotoTruth(case_id=case.case_id, photo_id="p1", shows="the cup", damaged=True, matches_listing=None)
    outcome = Outcome.model_validate(
        {"case_id": case.case_id, "ruling": "refund", "responsible": "seller", "return_freight": None}
    )
    return WrittenCase(case, outcome, {}, {"p1": truth})


def _rule(folder: Path, errors: PhotoErrors) -> RuledCases:
    cases = [_case()]
    return rule_cases(
        build_suggester(), KnownScorer(), cases, folder=folder, errors=errors, ruled_on=date(2026, 6, 1), n_seeds=8
    )


def _file(folder: Path, content: bytes) -> Path:
    (folder / "photos").mkdir(parents=True)
    (folder / "photos" / "p1.jpg").write_bytes(content)
    return folder


def test_absent_photos_are_drawn_and_the_figures_say_so(tmp_path: Path, photo_errors: PhotoErrors) -> None:
    ruled = _rule(tmp_path, photo_errors)
    assert len(np.unique(ruled.y_prob[:, 0], axis=0)) > 1
    assert {figure.photos for figure in ruling_figures(ruled).values()} == {"simulated"}


def test_photos_that_are_there_are_looked_at_whatever_their_label(tmp_path: Path, photo_errors: PhotoErrors) -> None:
    broken, whole = (
        _rule(_file(tmp_path / name, content), photo_errors) for name, content in (("b", DAMAGED), ("w", INTACT))
    )
    assert not np.allclose(broken.y_prob, whole.y_prob)
    for ruled in (broken, whole):
        assert len(np.unique(ruled.y_prob[:, 0], axis=0)) == 1
        assert {figure.photos for figure in ruling_figures(ruled).values()} == {None}
