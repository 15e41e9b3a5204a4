"""Rows of Parquet hold the whole suggestion."""

import pyarrow as pa

from models.case_file import CaseFile
from models.domain import (
    Evidence,
    FactEvidence,
    LedgerStep,
    ListingMatchEvidence,
    MissingEvidence,
    PhotoEvidence,
    RequestText,
    StatementEvidence,
    Suggestion,
)
from models.vocabulary import Party, StatementLabel
from serving.backlog.rows import SCHEMA, to_row, to_suggestion
from tests.builders import START, build_case
from tests.suggesters import build_suggester


def test_every_field_of_a_suggestion_comes_back_from_parquet() -> None:
    case = build_case()
    statement = StatementEvidence(
        ref="m1",
        label=StatementLabel.CLAIMS_DAMAGE,
        probability=0.9,
        effect=0.2,
        favours=Party.BUYER,
        spans=((0, 2), (5, 7)),
    )
    evidence: tuple[Evidence, ...] = (
        statement,
        PhotoEvidence(
            ref="p1",
            label="damaged",
            probability=0.8,
            effect=0.1,
            favours=Party.BUYER,
            region=(1, 2, 3, 4),
            out_of_distribution=True,
        ),
        ListingMatchEvidence(ref=("p1", "p2"), label="match", probability=0.1, effect=-0.1, favours=Party.SELLER),
        FactEvidence(ref="order", label="receipt_not_confirmed", effect=0.04, favours=Party.BUYER),
    )
    missing = MissingEvidence(party=Party.BUYER, what="photo", gain=0.3, request_text=RequestText(zh="请", en="please"))
    (scored,) = build_suggester().suggest([CaseFile(case)], now=START)
    changes = {
        "evidence": evidence,
        "missing_evidence": (missing,),
        "ledger": (LedgerStep(step=1, party=Party.SELLER, must_prove="x", status="met", evidence=("m1",)),),
    }
    suggestion = scored.model_copy(update=changes)

    table = pa.Table.from_pylist(
        [to_row(suggestion, case, now=suggestion.created_at, source="a.jsonl", line=1)], schema=SCHEMA
    )

    assert to_suggestion(table.to_pylist()[0]) == suggestion


def test_columns_are_the_keys_of_a_suggestion_and_the_case() -> None:
    assert SCHEMA.names == [*Suggestion.model_fields, "case"]
    kinds = (StatementEvidence, PhotoEvidence, ListingMatchEvidence, FactEvidence)
    wanted = {key for kind in kinds for key in kind.model_fields}
    assert {field.name for field in SCHEMA.field("evidence").type.value_type} == wanted
    for name, model in (("ledger", LedgerStep), ("missing_evidence", MissingEvidence)):
        assert {field.name for field in SCHEMA.field(name).type.value_type} == set(model.model_fields)
