"""How right the suggested rulings are on labelled cases, through `Suggester.rule` like every other caller.

A case whose photo files are all there is scored on them. For one that lacks any, a scorer stands in that draws from the
photos' truth with the classifiers' measured error rates; the figures then say `photos: simulated` and are means over 20
seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.calibration import debiased_ece
from models.case_file import CaseFile
from models.evidence import CaseEvidence, ListingMatch, ScoredPhoto, Statement
from models.ruling import RULINGS
from models.scorer import Scorer
from models.suggester import Suggester
from models.vocabulary import PhotoRole
from training.case_photos import with_photos
from training.metrics import Figure, bootstrap
from training.photo_errors import PhotoErrors
from training.written_cases import WrittenCase

N_SEEDS = 20
_PAPERS = (PhotoRole.WAYBILL, PhotoRole.SCREENSHOT)


class DrawnPhotoScorer:
    """Scores chats with the classifier and draws photo scores from their truth.

    spoken : the statements of each case by case_id, scored once for all seeds
    """

    def __init__(
        self, *, truths: Sequence[WrittenCase], spoken: dict[str, tuple[Statement, ...]], errors: PhotoErrors, seed: int
    ) -> None:
        self.truths = {truth.case.case_id: truth for truth in truths}
        self.spoken = spoken
        self.errors = errors
        self.seed = seed

    def score(self, files: Sequence[CaseFile]) -> list[CaseEvidence]:
        return [self._score_one(self.truths[file.case.case_id]) for file in files]

    def _score_one(self, truth: WrittenCase) -> CaseEvidence:
        case = truth.case
        rng = np.random.default_rng([self.seed, *case.case_id.encode()])
        photos = []
        for photo in case.photos:
            shown = truth.photos.get(photo.photo_id)
            damaged = None
            if shown is not None and shown.damaged is not None and photo.role not in _PAPERS:
                damaged = self.errors.draw_damage(rng, damaged=shown.damaged)
            photos.append(ScoredPhoto(photo.photo_id, photo.role, photo.filed_by, damaged))
        return CaseEvidence(case, self.spoken.get(case.case_id, ()), tuple(photos), self._match(truth, rng))

    def _match(self, truth: WrittenCase, rng: np.random.Generator) -> ListingMatch | None:
        listing = next((photo for photo in truth.case.photos if photo.role == PhotoRole.LISTING), None)
        if listing is None:
            return None
        for photo in truth.case.photos:
            shown = truth.photos.get(photo.photo_id)
            if photo.role in (PhotoRole.RECEIVED, PhotoRole.RETURNED) and shown and shown.matches_listing is not None:
                mismatch = self.errors.draw_mismatch(rng, matches=shown.matches_listing)
                return ListingMatch(listing.photo_id, photo.photo_id, mismatch)
        return None


@dataclass(frozen=True)
class RuledCases:
    """Per seed and case: what was suggested. Shapes (n_seeds, n_cases) or (n_seeds, n_cases, n_rulings).

    drawn_photos : whether photo scores of any case were drawn, its files being absent
    y_true : shape (n_cases,), ruling index
    """

    cases: list[WrittenCase]
    drawn_photos: bool
    y_true: NDArray[np.intp]
    y_prob: NDArray[np.float64]
    in_set: NDArray[np.bool_]
    responsible: NDArray[np.bool_]
    return_freight: NDArray[np.bool_]
    abstained: NDArray[np.bool_]

    @property
    def correct(self) -> NDArray[np.bool_]:
        return np.asarray(self.y_prob.argmax(axis=2) == self.y_true)


def rule_cases(
    suggester: Suggester,
    scorer: Scorer,
    cases: list[WrittenCase],
    *,
    folder: Path,
    errors: PhotoErrors,
    ruled_on: date,
    n_seeds: int = N_SEEDS,
) -> RuledCases:
    """Suggest a ruling for every case under `n_seeds` draws of the photo scores that no file gives.

    folder : where the cases' photo files lie, if anywhere
    """
    files = [with_photos(truth.case, folder) for truth in cases]
    evidence = scorer.score(files)
    spoken = {piece.case.case_id: piece.statements for piece in evidence}
    seen = {
        file.case.case_id: piece
        for file, piece in zip(files, evidence, strict=True)
        if len(file.photos) == len(file.case.photos)
    }
    y_prob, responsible, freight, abstained = [], [], [], []
    for seed in range(n_seeds):
        drawn = DrawnPhotoScorer(truths=cases, spoken=spoken, errors=errors, seed=seed).score(files)
        pieces = [seen.get(piece.case.case_id, piece) for piece in drawn]
        ruled = [(piece, suggester.rule(piece, ruled_on=ruled_on)) for piece in pieces]
        y_prob.append([one.probabilities for _, one in ruled])
        outcomes = [truth.outcome for truth in cases]
        pairs = list(zip(ruled, outcomes, strict=True))
        responsible.append([one.order.responsible == outcome.responsible for (_, one), outcome in pairs])
        freight.append([one.order.return_freight == outcome.return_freight for (_, one), outcome in pairs])
        abstained.append([suggester.abstain_reason(piece, one) is not None for piece, one in ruled])
    stacked = np.array(y_prob)
    claims = [truth.case.claim for truth in cases] * n_seeds
    flat = suggester.ruling.predict_sets(stacked.reshape(-1, len(RULINGS)), claims)
    return RuledCases(
        cases=cases,
        drawn_photos=len(seen) < len(cases),
        y_true=np.array([RULINGS.index(truth.outcome.ruling) for truth in cases], np.intp),
        y_prob=stacked,
        in_set=flat.reshape(stacked.shape),
        responsible=np.array(responsible),
        return_freight=np.array(freight),
        abstained=np.array(abstained),
    )


def ruling_figures(ruled: RuledCases) -> dict[str, Figure]:
    """Return the `ruling.*` figures of case-format, each a mean over the seeds, intervals over cases."""
    clear = np.array([truth.outcome.difficulty != "arguable" for truth in ruled.cases])
    covered = np.take_along_axis(ruled.in_set, ruled.y_true[None, :, None], axis=2)[:, :, 0]
    size = ruled.in_set.sum(axis=2)
    everything = np.ones(len(clear), np.bool_)
    figures = {
        "ruling.accuracy": _mean(ruled.correct, clear),
        "ruling.accuracy_arguable": _mean(ruled.correct, ~clear),
        "ruling.responsible_accuracy": _mean(ruled.responsible, clear),
        "ruling.return_freight_accuracy": _mean(ruled.return_freight, clear),
        "ruling.abstained": _mean(ruled.abstained, clear),
        "ruling.set_coverage": _mean(covered, everything),
        "ruling.set_size": _mean(size, everything),
        "ruling.ece": _calibration_error(ruled),
    }
    photos = "simulated" if ruled.drawn_photos else None
    return {name: replace(figure, photos=photos) for name, figure in figures.items() if figure is not None}


def _mean(values: NDArray[np.bool_] | NDArray[np.intp], kept: NDArray[np.bool_]) -> Figure | None:
    if not kept.any():
        return None
    per_case = values.mean(axis=0)[kept]
    return bootstrap(lambda rows: float(per_case[rows].mean()), np.arange(len(per_case)))


def _calibration_error(ruled: RuledCases) -> Figure:
    confidence, correct = ruled.y_prob.max(axis=2), ruled.correct

    def error(rows: NDArray[np.intp]) -> float:
        return float(
            np.mean([debiased_ece(confidence[seed, rows], correct[seed, rows]) for seed in range(len(confidence))])
        )

    return bootstrap(error, np.arange(len(ruled.y_true)), n_bootstrap=200)
