"""What the cases of a retraining looked like, kept with the model so that drift can be told from then on.

Knows nothing of files or of the tests for drift.
"""

from collections.abc import Sequence

from models.case_file import CaseFile
from models.drift import MAX_REFERENCE, Reference, observe
from models.evidence import CaseEvidence
from models.suggester import Suggester
from training.provenance import Provenance
from training.snapshot import DecidedCase


def training_reference(
    suggester: Suggester, decided: Sequence[DecidedCase], evidence: Sequence[CaseEvidence], *, taught: Sequence[int]
) -> Reference:
    """Return what came in with the newest decided cases, and what the model makes of those it didn't learn from.

    decided : in order of decision; evidence : of each, as the model reads it; taught : places of those it learned from
    The model's results are of cases decided blind: who decides blind is drawn, who appeals is not. How often people
    override it can't be known before anybody has seen it.
    """
    known = set(taught)
    blind = [place for place, one in enumerate(decided) if one.provenance == Provenance.BLIND and place not in known]
    came_in = [observe(one.file.case) for one in decided[-MAX_REFERENCE:]]
    results = [
        observe(
            decided[place].file.case,
            suggester.suggest([decided[place].file], scorer=_Read(evidence[place]), now=decided[place].moment)[0],
        )
        for place in blind[-MAX_REFERENCE:]
    ]
    return Reference.of(came_in).or_else(Reference.of(results))


class _Read:
    """Evidence read before, in place of the classifiers."""

    def __init__(self, evidence: CaseEvidence) -> None:
        self.evidence = evidence

    def score(self, files: Sequence[CaseFile]) -> list[CaseEvidence]:
        return [self.evidence for _ in files]
