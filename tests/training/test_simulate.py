"""The simulator repeats itself exactly, writes valid files, and its rulings follow the rules."""

import numpy as np
import pytest

from models.domain import parse_case
from models.findings import read_findings
from models.vocabulary import Claim, GoodsState, Ruling
from training.hidden_truth import PARAMETERS
from training.photo_errors import PhotoErrors
from training.simulate import simulate
from training.statement_pool import StatementPool


def test_the_same_seed_gives_the_same_cases(pool: StatementPool, photo_errors: PhotoErrors) -> None:
    first = simulate(30, pool=pool, photo_errors=photo_errors, seed=3)
    again = simulate(30, pool=pool, photo_errors=photo_errors, seed=3)
    other = simulate(30, pool=pool, photo_errors=photo_errors, seed=4)
    assert first == again
    assert first != other


def test_a_case_does_not_depend_on_how_many_are_simulated(pool: StatementPool, photo_errors: PhotoErrors) -> None:
    assert (
        simulate(5, pool=pool, photo_errors=photo_errors, seed=3)
        == simulate(9, pool=pool, photo_errors=photo_errors, seed=3)[:5]
    )


def test_every_simulated_case_keeps_the_intake_format(pool: StatementPool, photo_errors: PhotoErrors) -> None:
    for simulated in simulate(60, pool=pool, photo_errors=photo_errors, seed=5):
        case = simulated.evidence.case
        assert parse_case(case.model_dump_json()) == case


def test_all_claims_and_rulings_occur(pool: StatementPool, photo_errors: PhotoErrors) -> None:
    cases = simulate(800, pool=pool, photo_errors=photo_errors, seed=6)
    assert {simulated.evidence.case.claim for simulated in cases} == set(Claim)
    assert {simulated.order.ruling for simulated in cases} == set(Ruling)


def test_arbitrator_noise_is_as_frequent_as_set(pool: StatementPool, photo_errors: PhotoErrors) -> None:
    for noise in (0.0, 0.3):
        cases = simulate(600, pool=pool, photo_errors=photo_errors, seed=7, parameters={"arbitrator_noise": noise})
        changed = np.mean([simulated.order != simulated.rule_order for simulated in cases])
        assert changed == pytest.approx(noise, abs=0.06)


def test_the_parties_have_no_names_that_could_be_learned(pool: StatementPool, photo_errors: PhotoErrors) -> None:
    cases = simulate(50, pool=pool, photo_errors=photo_errors, seed=8)
    assert {(s.evidence.case.order.buyer_id, s.evidence.case.order.seller_id) for s in cases} == {("b-sim", "s-sim")}


def test_only_claims_that_are_asked_for_are_drawn(pool: StatementPool, photo_errors: PhotoErrors) -> None:
    cases = simulate(20, pool=pool, photo_errors=photo_errors, seed=3, claim_shares={Claim.COUNTERFEIT: 1.0})
    assert {simulated.evidence.case.claim for simulated in cases} == {Claim.COUNTERFEIT}


def test_whether_the_no_reason_window_is_open_can_be_read_off_the_file(
    pool: StatementPool, photo_errors: PhotoErrors
) -> None:
    cases = simulate(200, pool=pool, photo_errors=photo_errors, seed=4, claim_shares={Claim.CHANGE_OF_MIND: 1.0})
    unused = [one for one in cases if one.evidence.case.order.goods_state != GoodsState.USED]
    read = [read_findings(one.evidence).stated["no_reason_return_open"].probability >= 0.5 for one in unused]
    agree = [found == one.truth.in_no_reason_window for found, one in zip(read, unused, strict=True)]
    assert sum(agree) / len(agree) > 0.9


def test_who_lets_the_deadline_pass_has_not_proved_the_return(pool: StatementPool, photo_errors: PhotoErrors) -> None:
    cases = simulate(400, pool=pool, photo_errors=photo_errors, seed=4, claim_shares={Claim.RETURN_NOT_REFUNDED: 1.0})
    missed = [
        one
        for one in cases
        if one.truth.asked_of in ("buyer", "both")
        and one.truth.answer == "missed"
        and not one.truth.seller_silent
        and one.truth.agreed != Ruling.PARTIAL_REFUND
    ]
    assert any(one.truth.return_arrived for one in missed)
    assert {one.rule_order.ruling for one in missed} == {Ruling.DISMISS}
    shared = [one for one in cases if one.truth.agreed == Ruling.PARTIAL_REFUND]
    assert shared
    assert {one.rule_order.ruling for one in shared} == {Ruling.PARTIAL_REFUND}


def test_every_parameter_is_a_probability() -> None:
    assert all(0 <= value <= 1 for value in PARAMETERS.values())
