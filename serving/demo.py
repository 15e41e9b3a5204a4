"""The demonstration: the sample cases taken in and scored, in a real database. What is stored already is skipped."""

import json
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from models.domain import Case, parse_case
from models.vocabulary import Party
from serving.backlog.photos import read_photos
from serving.case_files import read_case_file
from serving.house import House
from serving.printed import ruling_in_words, set_in_words, strongest
from serving.records import CaseKey, CaseView, Role, User
from serving.refusals import CaseClosedError, CaseExistsError, UnknownError

SAMPLES = Path(__file__).parent.parent / "datasets" / "samples"
DEMO_LEAD = "demo-lead"
_FILER = "demo-intake"


@dataclass(frozen=True)
class DemoCases:
    """The sample cases, taken in. n_new : how many were not on file before"""

    keys: list[CaseKey]
    n_new: int


def demo_user(house: House, *, name: str = DEMO_LEAD, role: Role = Role.LEAD) -> User:
    """Return the demo's user, made on the first start. It has no password: a one-time link signs it in."""
    try:
        return house.store.accounts.named(name)
    except UnknownError:
        return house.gatekeeper.add_user(name, role=role, by="system:demo")


def take_in_samples(house: House, *, folder: Path = SAMPLES, progress: Progress) -> DemoCases:
    """Take in every sample case with its photos. A case that was changed or decided since is left alone."""
    filer = demo_user(house, name=_FILER, role=Role.SERVICE)
    lines = (folder / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [parse_case(json.loads(line), source=f"cases.jsonl line {n + 1}") for n, line in enumerate(lines) if line]
    n_new = 0
    for case in progress.track(cases, description="Taking in the sample cases"):
        n_new += _take_in(house, case, folder, filer)
    return DemoCases([CaseKey(case.platform, case.case_id) for case in cases], n_new)


def _take_in(house: House, case: Case, folder: Path, filer: User) -> bool:
    try:
        intake = house.store.take_in(case, by=filer)
        if not intake.changed and intake.suggestion_state == "ready":
            return False
        key = CaseKey(case.platform, case.case_id)
        for photo_id, data in read_photos(case, folder).items():
            house.store.add_photo(key, photo_id, house.photo_intake.keep(data), by=filer)
    except (CaseExistsError, CaseClosedError):
        return False
    return intake.changed


def score_samples(house: House, cases: DemoCases, *, progress: Progress) -> None:
    """Score the cases whose current version has no suggestion yet."""
    waiting = [key for key in cases.keys if house.store.newest_suggestion(house.store.version(key)) is None]
    for key in progress.track(waiting, description="Scoring", total=len(waiting)):
        version = house.store.version(key)
        suggestion = house.scoring.suggest(read_case_file(version, house.photos))
        house.store.keep_suggestion(version, suggestion, by="system:demo")


def overview(views: list[CaseView]) -> Table:
    """Return the table of suggestions: one case a row."""
    table = Table(title="Suggestions (a person decides)", title_justify="left", show_lines=True)
    for column in ("case", "claim", "ruling", "confidence", "set", "strongest for the buyer", "for the seller"):
        table.add_column(column)
    for view in views:
        case, suggestion = view.case, view.suggestion
        if suggestion is None:
            why = "hidden until decided" if view.hidden else "not scored"
            table.add_row(Text(case.case_id), case.claim, why, "", "", "", "")
            continue
        table.add_row(
            Text(case.case_id),
            case.claim,
            ruling_in_words(suggestion),
            f"{suggestion.confidence:.0%}",
            set_in_words(suggestion),
            Text(strongest(suggestion, case, favours=Party.BUYER)),
            Text(strongest(suggestion, case, favours=Party.SELLER)),
        )
    return table
