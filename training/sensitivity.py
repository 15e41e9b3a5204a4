"""How far the simulator's assumptions matter: each parameter halved and doubled, the shipped model measured again.

The parameters have no source; this table is what stands in its place. Knows the figures, not how cases are written.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.calibration import debiased_ece
from models.ruling import RulingClassifier
from training.fit_rulings import ruling_table
from training.hidden_truth import PARAMETERS
from training.photo_errors import PhotoErrors
from training.simulate import simulate
from training.statement_pool import StatementPool

_FACTORS = (0.5, 2.0)
_MOST = 0.95


@dataclass(frozen=True)
class Sensitivity:
    """What the shipped model does on `n_cases` simulated cases with one parameter changed."""

    parameter: str
    value: float
    accuracy: float
    coverage: float
    ece: float
    n_cases: int


def measure_sensitivity(
    classifier: RulingClassifier,
    *,
    pool: StatementPool,
    photo_errors: PhotoErrors,
    n_cases: int,
    seed: int,
    progress: Callable[[str], None] = lambda message: None,
) -> list[Sensitivity]:
    """Return a row for the parameters as they are, then two rows a parameter: halved, and doubled up to 0.95."""

    def measured(name: str, value: float, changed: dict[str, float]) -> Sensitivity:
        cases = simulate(n_cases, pool=pool, photo_errors=photo_errors, seed=seed, parameters=changed)
        X, y_true = ruling_table(cases)
        y_prob = classifier.predict_proba(X)
        correct = y_prob.argmax(axis=1) == y_true
        claims = [simulated.evidence.case.claim for simulated in cases]
        covered = classifier.predict_sets(y_prob, claims)[np.arange(n_cases), y_true]
        ece = debiased_ece(y_prob.max(axis=1), correct)
        return Sensitivity(name, value, float(correct.mean()), float(covered.mean()), ece, n_cases)

    rows = [measured("as shipped", float("nan"), {})]
    for name, value in PARAMETERS.items():
        progress(name)
        for factor in _FACTORS:
            other = min(_MOST, value * factor)
            rows.append(measured(name, other, {name: other}))
    return rows


def sensitivity_table(rows: list[Sensitivity]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| parameter | value | accuracy | set coverage | calibration error |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        value = "" if np.isnan(row.value) else f"{PARAMETERS[row.parameter]:.2f} → {row.value:.2f}"
        lines.append(f"| {row.parameter} | {value} | {row.accuracy:.3f} | {row.coverage:.3f} | {row.ece:.3f} |")
    return "\n".join(lines)
