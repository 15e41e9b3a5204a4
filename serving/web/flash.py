"""The decision just made, shown on the page after it, with the way to undo it. Knows no decision's content."""

from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Request
from pydantic import TypeAdapter

from models.domain import Identifier
from models.vocabulary import Platform, Ruling
from serving.house import House
from serving.records import CaseKey, Person
from serving.refusals import UnknownError

_CASE_ID: TypeAdapter[str] = TypeAdapter(Identifier)


@dataclass(frozen=True)
class LastDecided:
    """path : of the case's page; may_undo : whether this person may still take it back"""

    path: str
    case_id: str
    ruling: Ruling
    stage: str
    may_undo: bool


def last_decided(request: Request, house: House, person: Person) -> LastDecided | None:
    """Return the case named by the page's address, if this person's decision stands on it."""
    key = _key_in(request.query_params.get("last", ""))
    try:
        records = house.store.desk.decisions(key) if key is not None else ()
    except UnknownError:
        return None
    own = [r.decision for r in records if r.state == "standing" and r.decision.decided_by == person.user.name]
    if key is None or not own:
        return None
    in_time = datetime.now(UTC) <= own[-1].decided_at + house.store.policy.undo
    may_undo = in_time and not house.store.desk.is_recused(key, by=person.user)
    return LastDecided(f"/cases/{key}", own[-1].case_id, own[-1].ruling, own[-1].stage, may_undo)


def _key_in(text: str) -> CaseKey | None:
    platform, _, case_id = text.partition("/")
    try:
        return CaseKey(Platform(platform), _CASE_ID.validate_python(case_id))
    except ValueError:
        return None
