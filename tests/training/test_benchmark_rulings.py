"""The benchmark's figures on rulings: slices add up, and what is left out is really left out."""

from dataclasses import replace

import pytest

from models.ruling import RulingClassifier
from training.benchmark_rulings import WITHOUT, ablation_table
from training.fit_rulings import fit_rulings, score_simulated
from training.photo_errors import PhotoErrors
from training.simulate import SimulatedCase, simulate
from training.statement_pool import StatementPool


@pytest.fixture(scope="module")
def cases(pool: StatementPool, photo_errors: PhotoErrors) -> list[SimulatedCase]:
    return simulate(120, pool=pool, photo_errors=photo_errors, seed=9)


@pytest.fixture(scope="module")
def classifier(pool: StatementPool, photo_errors: PhotoErrors) -> RulingClassifier:
    return fit_rulings(pool=pool, photo_errors=photo_errors, seed=1, n_train=300, n_calibration=300)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("without chat and accounts", "chat"),
        ("without photos", "photos"),
        ("without documents", "documents"),
        ("without the procedure", "timeline"),
        ("without logistics", "logistics"),
    ],
)
def test_what_is_left_out_is_gone_and_the_rest_stays(name: str, part: str, cases: list[SimulatedCase]) -> None:
    assert set(WITHOUT) >= {name}
    for simulated in cases[:20]:
        bare = WITHOUT[name](simulated.evidence)
        kept = {"chat", "photos", "documents", "timeline", "logistics"} - {part}
        assert getattr(bare.case, part) == ()
        assert all(getattr(bare.case, other) == getattr(simulated.evidence.case, other) for other in kept)
    if part == "chat":
        assert all(WITHOUT[name](one.evidence).statements == () for one in cases)
    if part == "photos":
        assert all(WITHOUT[name](one.evidence).match is None for one in cases)


def test_the_ablations_stand_beside_the_rules_alone_and_the_commonest_ruling(
    classifier: RulingClassifier, cases: list[SimulatedCase]
) -> None:
    table = ablation_table(classifier, cases)
    names = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert names == ["classifier", "rules alone", "commonest ruling of the claim", *WITHOUT]
    whole = score_simulated(classifier, cases).correct.mean()
    without_procedure = [replace(one, evidence=WITHOUT["without the procedure"](one.evidence)) for one in cases]
    assert score_simulated(classifier, without_procedure).correct.mean() < whole
