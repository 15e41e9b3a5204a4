"""Promise 5, parser by parser: whatever it is given, a parser answers with what it read or with an error of our own.

Each starts from something good, of which parts are bitten or poisoned; Hypothesis draws which, so that a failure is
found again.
"""

import io
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.domain import DecisionDraft, Frozen, parse_case
from models.errors import ReviewError
from models.images import open_photo
from models.photo_metadata import read_metadata
from models.registry import SHIPPED_DIR, verified_manifest
from models.rule_pack import RULES_DIR, load_rule_book
from serving.api.documents import EXAMPLE_DECISION, EXAMPLE_EVIDENCE
from serving.backlog.chunk import parse_entry
from serving.backlog.reading import read_entries
from serving.backlog.sources import find_sources
from serving.deps import parse_draft
from serving.desk_records import AppealDraft, AssignmentDraft, CorrectionDraft, NoticeText, StepAsideDraft, SwitchDraft
from serving.records import EvidenceDraft, WithdrawalDraft
from serving.taobao import import_refunds
from tests.builders import build_case, photo_bytes
from tests.models.test_photo_metadata import with_exif
from tests.mutations import bitten, poisoned
from tests.promises.test_05_malformed_input import whole_case
from tests.serving.test_taobao import MESSAGES, refund
from tests.training.test_import_outcomes import MAPPING, ROWS
from training.import_outcomes import import_outcomes
from training.snapshot import read_snapshot

SHORT, LONG = 25, 250
MAX_SECONDS = 1.0
DRAFTS: dict[type[Frozen], dict[str, Any]] = {
    EvidenceDraft: EXAMPLE_EVIDENCE,
    DecisionDraft: EXAMPLE_DECISION,
    WithdrawalDraft: {"stage": "first_review", "reason": "看错了照片"},
    CorrectionDraft: {"kind": "photo", "ref": "p1", "damaged": True, "region": [0, 0, 9, 9], "note": "外箱"},
    StepAsideDraft: {"reason": "认识卖家"},
    AppealDraft: {"filed_by": "seller", "reason": "有发货前视频"},
    AssignmentDraft: {"people": ["zhang", "li"], "at_most": 20, "preview": True},
    NoticeText: {"zh": "通知", "en": "Notice"},
    SwitchDraft: {"claim": "counterfeit", "reason": "模型复查中"},
}


class Parser(NamedTuple):
    """good : a value to be poisoned, or the bytes of a file to be bitten

    read : reads the bytes, with a folder of its own to work in; write : turns the value into bytes
    """

    good: Any
    read: Callable[[bytes, Path], object]
    write: Callable[[Any], bytes] = lambda value: json.dumps(value).encode()
    cost: int = 1


def as_yaml(value: Any) -> bytes:
    return str(yaml.safe_dump(value, allow_unicode=True)).encode("utf-8", "surrogatepass")


def as_lines(rows: Any) -> bytes:
    listed = rows if isinstance(rows, list) else [rows]
    return "\n".join(json.dumps(row) for row in listed).encode()


def read_rule_pack(data: bytes, folder: Path) -> object:
    shutil.copytree(RULES_DIR, folder / "rules")
    (folder / "rules" / "jd.yaml").write_bytes(data)
    return load_rule_book(folder / "rules")


def read_outcomes(
    table: bytes = as_lines(ROWS), *, folder: Path, ending: str = ".jsonl", mapping: bytes = MAPPING.encode()
) -> object:
    photos = [{"photo_id": "p1", "role": "received", "filed_by": "buyer", "path": f"{'x' * 400}.jpg"}]
    cases = [build_case(photos=photos), build_case(case_id="TB-2", buyer_statement="一\u2028二\x85三")]
    (folder / "cases.jsonl").write_text("\n".join(case.model_dump_json() for case in cases), encoding="utf-8")
    (folder / "mapping.yaml").write_bytes(mapping)
    (folder / f"table{ending}").write_bytes(table)
    return import_outcomes(
        folder / f"table{ending}",
        cases=folder / "cases.jsonl",
        mapping=folder / "mapping.yaml",
        directory=folder / "out",
    )


def parquet_of(rows: Any) -> bytes:
    out = io.BytesIO()
    pd.DataFrame(rows).to_parquet(out)
    return out.getvalue()


def read_backlog(data: bytes, folder: Path) -> object:
    (folder / "cases.parquet").write_bytes(data)
    sources = find_sources(str(folder / "cases.parquet"), out=folder / "out")
    return [parse_entry(entry) for entry in read_entries(sources) if entry.data is not None]


def read_taobao(data: bytes, folder: Path, *, ending: str) -> object:
    (folder / f"refunds{ending}").write_bytes(data)
    return list(import_refunds(folder / f"refunds{ending}"))


def read_manifest(data: bytes, folder: Path) -> object:
    (folder / "manifest.json").write_bytes(data)
    return verified_manifest(folder)


def read_snapshot_of(data: bytes, folder: Path) -> object:
    (folder / "manifest.json").write_bytes(data)
    return read_snapshot(folder)


REFUND = refund(messages={"refund_message": MESSAGES})
PARSERS: dict[str, Parser] = {
    "case": Parser(whole_case(), lambda data, _: parse_case(data)),
    **{
        kind.__name__: Parser(example, lambda data, _, kind=kind: parse_draft(kind, data))  # type: ignore[misc]
        for kind, example in DRAFTS.items()
    },
    "rule pack": Parser(yaml.safe_load((RULES_DIR / "jd.yaml").read_text("utf-8")), read_rule_pack, as_yaml, cost=10),
    "outcome mapping": Parser(
        yaml.safe_load(MAPPING), lambda data, folder: read_outcomes(mapping=data, folder=folder), as_yaml
    ),
    "outcomes, JSON Lines": Parser(ROWS, lambda data, folder: read_outcomes(data, folder=folder), as_lines),
    "outcomes, CSV": Parser(
        pd.DataFrame(ROWS).to_csv(index=False).encode(),
        lambda data, folder: read_outcomes(data, folder=folder, ending=".csv"),
    ),
    "outcomes, Parquet": Parser(
        parquet_of([{**row, "值": [1, 2]} for row in ROWS]),
        lambda data, folder: read_outcomes(data, folder=folder, ending=".parquet"),
    ),
    "Taobao, document": Parser(
        {"refunds_receive_get_response": {"refunds": {"refund": [REFUND]}}},
        lambda data, folder: read_taobao(data, folder, ending=".json"),
    ),
    "Taobao, lines": Parser([REFUND], lambda data, folder: read_taobao(data, folder, ending=".jsonl"), as_lines),
    "backlog, Parquet": Parser(parquet_of([{**whole_case(), "listing": {"title": "马克杯"}}] * 3), read_backlog),
    "photo": Parser(photo_bytes(), lambda data, _: (read_metadata(data), open_photo(data))),
    "photo with EXIF": Parser(with_exif(taken="2026:03:01 09:00:00"), lambda data, _: read_metadata(data)),
    "snapshot": Parser({"files": {"cases.jsonl": "0", "outcomes.jsonl": "0"}}, read_snapshot_of),
    "manifest": Parser(json.loads((SHIPPED_DIR / "manifest.json").read_text("utf-8")), read_manifest),
}


def bad_input(parser: Parser, rng: random.Random) -> bytes:
    if isinstance(parser.good, bytes):
        return bitten(parser.good, rng)
    data = parser.write(poisoned(parser.good, rng))
    return bitten(data, rng) if rng.random() < 0.3 and data else data


def folders(parent: Path) -> Iterator[Path]:
    number = 0
    while True:
        number += 1
        (parent / str(number)).mkdir()
        yield parent / str(number)
        shutil.rmtree(parent / str(number))


def assail(name: str, folder: Path, *, n_examples: int) -> Counter[str]:
    """Give a parser so many bad inputs, each to be answered within the time; return how many it read and refused."""
    parser, own_folders, longest, counts = PARSERS[name], folders(folder), [0.0], Counter[str]()

    @settings(
        max_examples=max(1, n_examples // parser.cost),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(rng=st.randoms(use_true_random=False))
    def read(rng: random.Random) -> None:
        data, folder = bad_input(parser, rng), next(own_folders)
        began = time.process_time()
        try:
            parser.read(data, folder)
            counts["read"] += 1
        except ReviewError:
            counts["refused"] += 1
        longest[0] = max(longest[0], time.process_time() - began)

    read()
    assert longest[0] < MAX_SECONDS, name
    return counts


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_reads_or_refuses_and_does_it_soon(tmp_path: Path, name: str) -> None:
    assert assail(name, tmp_path, n_examples=SHORT).total() > 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_parser_reads_or_refuses_thousands(tmp_path: Path, measured: Callable[[str], None]) -> None:
    counts = Counter[str]()
    for number, name in enumerate(PARSERS):
        (tmp_path / str(number)).mkdir()
        counts += assail(name, tmp_path / str(number), n_examples=LONG)
    measured(
        f"{counts.total():,} mutated inputs to {len(PARSERS)} parsers: {counts['read']:,} read, {counts['refused']:,} "
        "refused by errors of our own"
    )
