"""A snapshot of simulated cases whose people rule otherwise than the rules, and a scorer that knows their evidence."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from models.case_file import CaseFile
from models.evidence import CaseEvidence
from models.registry import verified_manifest
from models.rule_pack import shipped_rule_book
from models.ruling import RulingClassifier
from models.snapshot import seal, write_rows
from models.suggester import Suggester
from models.vocabulary import Ruling
from tests.suggesters import KnownScorer
from training.photo_errors import PhotoErrors
from training.simulate import simulate
from training.statement_pool import StatementPool

START = datetime(2026, 5, 1, tzinfo=UTC)


class LookedUpScorer:
    """Gives the simulated evidence of a case, and reads known words elsewhere."""

    def __init__(self, evidence: dict[str, CaseEvidence]) -> None:
        self.evidence = evidence

    def score(self, files: Sequence[CaseFile]) -> list[CaseEvidence]:
        return [self.evidence.get(file.case.case_id) or KnownScorer().score([file])[0] for file in files]


class SimulatedOutcomes:
    """n_cases : one a day; every second seller's cases are blind; people refund where the rules want goods back"""

    def __init__(self, n_cases: int, *, pool: StatementPool, photo_errors: PhotoErrors, seed: int = 5) -> None:
        self.rows = []
        evidence = {}
        for place, one in enumerate(simulate(n_cases, pool=pool, photo_errors=photo_errors, seed=seed)):
            order = one.evidence.case.order.model_copy(
                update={"buyer_id": f"b-{place}", "seller_id": f"s-{place // 2}", "order_id": f"o-{place}"}
            )
            case = one.evidence.case.model_copy(update={"order": order})
            evidence[case.case_id] = CaseEvidence(
                case, one.evidence.statements, one.evidence.photos, one.evidence.match
            )
            goods_back = one.order.ruling == Ruling.RETURN_AND_REFUND
            blind = place // 2 % 2 == 0
            self.rows.append(
                {
                    "case": case,
                    "outcome": {
                        "case_id": case.case_id,
                        "platform": case.platform.value,
                        "ruling": "refund" if goods_back else one.order.ruling.value,
                        "decided_at": (START + timedelta(days=place / 4)).isoformat(),
                        "suggestion_shown": not blind,
                        "agreed": None if blind else not goods_back,
                    },
                }
            )
        self.scorer = LookedUpScorer(evidence)

    def write(self, directory: Path, *, only: slice = slice(None), **changes: object) -> Path:
        """Seal a snapshot of some of the rows; `changes` replace keys of every outcome."""
        draft = directory / ".draft"
        draft.mkdir(parents=True)
        rows = self.rows[only]
        write_rows(draft / "cases.jsonl", [json.loads(row["case"].model_dump_json()) for row in rows])
        write_rows(draft / "outcomes.jsonl", [{**row["outcome"], **changes} for row in rows])
        return seal(draft, directory, about={"n_outcomes": len(rows)})

    def load(self, folder: Path) -> Suggester:
        """Return the ruling model of a folder over the known evidence, in place of the heavy classifiers."""
        manifest = verified_manifest(folder)
        return Suggester(
            scorer=self.scorer,
            ruling=RulingClassifier.load(folder / "ruling"),
            rule_book=shipped_rule_book(),
            model_version=manifest.model_version,
            calibrated_on=manifest.calibrated_on,
        )
