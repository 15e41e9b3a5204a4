"""A short year, lived through by every arm: the same people, other safeguards; the page shows what each bought."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.ruling import RULINGS
from training.docket import Docket, Year, write_docket
from training.photo_errors import PhotoErrors
from training.statement_pool import StatementPool
from training.year import ARMS, ECHO_EQUAL, NEVER, Lived, live
from training.year_report import CONTRASTS, Years, joined, windows, write_page

YEAR = Year(
    n_months=3,
    cases_a_month=320,
    rule_change_day=30,
    new_category_day=45,
    biased_day=60,
    photos_needed=10,
    blind_share=0.6,
    n_simulated=450,
)


@pytest.fixture(scope="module")
def year(pool: StatementPool, photo_errors: PhotoErrors) -> tuple[Docket, dict[str, Lived]]:
    return live(YEAR, pool=pool, photo_errors=photo_errors, progress=lambda line: None)


def test_events_come_on_their_days(pool: StatementPool, photo_errors: PhotoErrors) -> None:
    changed = write_docket(
        replace(YEAR, n_months=2, cases_a_month=100, rule_change_day=15, new_category_day=30),
        pool=pool,
        photo_errors=photo_errors,
    )
    same = write_docket(
        replace(YEAR, n_months=2, cases_a_month=100, rule_change_day=900, new_category_day=900),
        pool=pool,
        photo_errors=photo_errors,
    )
    differs = changed.y_true != same.y_true
    assert not differs[:50].any()
    assert {RULINGS[place] for place in changed.y_true[differs]} == {"refund"}
    assert not changed.is_new[:100].any()
    assert 0.1 < changed.is_new[100:].mean() < 0.45
    assert np.array_equal(changed.X[0][:100], changed.X[1][:100])
    assert not np.array_equal(changed.X[0][100:], changed.X[1][100:])
    assert windows(Year()) == {
        "before anything": range(0, 3),
        "after the rule change": range(3, 6),
        "after the new category": range(6, 8),
        "after the biased arbitrator": range(8, 12),
    }


def test_every_arm_starts_with_the_same_champion_and_only_retraining_moves_it(
    year: tuple[Docket, dict[str, Lived]],
) -> None:
    docket, lived = year
    first_month = docket.month == 0
    for arm in ARMS:
        np.testing.assert_array_equal(lived[arm.name].y_prob[first_month], lived[NEVER.name].y_prob[first_month])
    assert lived[NEVER.name].promoted == ()
    assert lived[NEVER.name].doubtful is None
    last = YEAR.n_months - 1
    promoted = [one for one in lived.values() if one.promoted and one.promoted[0] < last]
    assert promoted
    for one in promoted:
        differs = (one.y_prob != lived[NEVER.name].y_prob).any(axis=1)
        assert not differs[docket.month <= one.promoted[0]].any()
        assert differs[docket.month > one.promoted[0]].any()


def test_people_who_always_echo_teach_the_champion_its_own_answers(
    pool: StatementPool, photo_errors: PhotoErrors
) -> None:
    echoing = replace(YEAR, n_months=2, cases_a_month=200, rule_change_day=900, echo=1.0)
    docket, lived = live(
        echoing, pool=pool, photo_errors=photo_errors, arms=(NEVER, ECHO_EQUAL), progress=lambda line: None
    )
    said, before = (lived[arm.name].y_prob.argmax(axis=1) for arm in (ECHO_EQUAL, NEVER))
    assert (said == before)[docket.month == 1].mean() > 0.9
    worth = lived[ECHO_EQUAL.name].doubtful
    assert worth is not None
    assert worth.wrong_taught > 1.5 * echoing.noise


def test_the_page_names_every_safeguard_with_its_interval_and_shows_the_plots(
    year: tuple[Docket, dict[str, Lived]], tmp_path: Path
) -> None:
    fared = {arm.name: joined([year], arm.name) for arm in ARMS}
    write_page(Years(YEAR, 1, fared, [year[1]]), tmp_path / "year.md")
    page = (tmp_path / "year.md").read_text(encoding="utf-8")
    for name, *_ in CONTRASTS:
        assert page.count(f"| {name} |") == len(windows(YEAR))
    assert f"{YEAR.n_cases} simulated cases" in page
    assert "rule change" in (tmp_path / "year" / "accuracy.svg").read_text(encoding="utf-8")
    assert all(f"| {arm.name} |" in page for arm in ARMS)
