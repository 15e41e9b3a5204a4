"""Decisions over HTTP: a signed-in person's ruling, and its withdrawal."""

import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header

from models.case_file import digest_of
from models.domain import Decision, DecisionDraft
from models.errors import InputError
from models.rule_pack import shipped_rule_book
from serving.api.documents import EXAMPLE_DECISION, json_body_of
from serving.api.keys import NeedsKey
from serving.deps import Arbitrator, CaseKeyDep, HouseDep, JsonBody, StoreDep, parse_draft
from serving.desk_records import NoticeText
from serving.errors import problem_responses
from serving.house import House
from serving.notice import write_notice
from serving.records import CaseKey, DecisionRecord, WithdrawalDraft

router = APIRouter(prefix="/cases", tags=["decisions"])

IfMatch = Annotated[
    str | None, Header(alias="If-Match", max_length=100, description="The ETag of the version that was judged.")
]
_ETAG = re.compile(r'^(?:W/)?"(\d{1,9})"$')


@router.post(
    "/{platform}/{case_id:path}/decision",
    status_code=201,
    responses=problem_responses(400, 401, 403, 404, 409, 412, 413, 422, 503, 507),
    openapi_extra=json_body_of("DecisionDraft", example=EXAMPLE_DECISION),
)
def record_decision(
    person: Arbitrator,
    key: CaseKeyDep,
    body: JsonBody,
    house: HouseDep,
    idempotency_key: NeedsKey,
    if_match: IfMatch = None,
) -> Decision:
    """Record the ruling and the suggestion that was on screen.

    The first decision of a stage stands: a second answers 409 and changes nothing. A case that has changed since it
    was read (If-Match) answers 412. What the draft leaves out of the remedy is composed (GET …/remedies). 422
    `departs-from-precedents` asks what distinguishes the case where comparable ones were all ruled otherwise. Needs an
    Idempotency-Key: the same request again is answered alike, another draft takes another key.
    """
    draft = parse_draft(DecisionDraft, body)
    return decide(house, key, draft, by=person, judged_version=_version_in(if_match))


def decide(
    house: House,
    key: CaseKey,
    draft: DecisionDraft,
    *,
    by: Arbitrator,
    judged_version: int | None,
) -> Decision:
    """Record a decision of a signed-in person and draft its notice; the desk's pages call this too."""
    with house.store.snapshot():
        version = house.store.version(key)
        suggestion = house.store.newest_suggestion(version)
    today = datetime.now(UTC).date()

    def notice(decision: Decision) -> NoticeText:
        on_screen = decision.suggestion_id if decision.suggestion_shown else None
        shown = suggestion if suggestion is not None and suggestion.suggestion_id == on_screen else None
        pack = shipped_rule_book().pack_for(version.case, ruled_on=today)
        return write_notice(version.case, decision, suggestion=shown, pack=pack)

    return house.store.decide(
        key,
        draft,
        by=by.user,
        input_digest=digest_of(version.case, version.digests, ruled_on=today),
        judged_version=judged_version,
        write_notice=notice,
    )


@router.post(
    "/{platform}/{case_id:path}/decision/withdraw",
    status_code=201,
    responses=problem_responses(401, 403, 404, 409, 413, 422, 503, 507),
    openapi_extra=json_body_of("WithdrawalDraft", example={"stage": "first_review", "reason": "看错了照片"}),
)
def withdraw_decision(person: Arbitrator, key: CaseKeyDep, body: JsonBody, store: StoreDep) -> DecisionRecord:
    """Withdraw the standing decision of a stage: by whoever made it, or a lead. The decision stays on record."""
    return store.withdraw(key, parse_draft(WithdrawalDraft, body), by=person.user)


def _version_in(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.match(if_match.strip())
    if found is None:
        raise InputError('must be an ETag of the case, such as "3"', field="If-Match")
    return int(found.group(1))
