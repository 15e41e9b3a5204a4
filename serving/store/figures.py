"""The lead's figures: person alone, person with the machine, machine alone; overrides; errors by party; consistency.

What is right is what somebody else ruled later on the same case, on review or appeal: a few, not drawn at random.
Only blind decisions tell what a person does without the machine. Knows no page.
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

import sqlalchemy as sa
from sqlalchemy import Connection

from models.domain import Decision
from models.vocabulary import Ruling, Stage
from serving.desk_records import Figures, PersonFigures, Share
from serving.tables import cases, decision_events, suggestions

_MOST_PAIRS = 20_000


@dataclass(frozen=True)
class _Case:
    """What was decided on one case. comparable : cases of this key should be ruled alike"""

    decisions: tuple[Decision, ...]
    machine: str | None
    comparable: tuple[str, ...]

    @property
    def first(self) -> Decision:
        return self.decisions[0]

    @property
    def reference(self) -> Ruling | None:
        """The last ruling by somebody else than whoever decided first, on review or appeal."""
        later = [d for d in self.decisions if d.stage != Stage.FIRST_REVIEW and d.decided_by != self.first.decided_by]
        return later[-1].ruling if later else None


def figures(connection: Connection, *, since: datetime) -> Figures:
    """Return the figures over the cases first decided since then."""
    found = _cases(connection, since)
    firsts = [case.first for case in found]
    referred = [case for case in found if case.reference is not None]
    shown = [d for d in firsts if d.suggestion_shown and d.agreed is not None]
    blind = [d for d in firsts if d.blind and d.agreed is not None]
    override, disagreement = Share.of(not d.agreed for d in shown), Share.of(not d.agreed for d in blind)
    return Figures(
        since=since,
        n_cases=len(found),
        person_alone=Share.of(c.first.ruling == c.reference for c in referred if c.first.blind),
        person_with_machine=Share.of(c.first.ruling == c.reference for c in referred if c.first.suggestion_shown),
        machine_alone=Share.of(c.machine == c.reference for c in referred if c.machine is not None),
        override_rate=override,
        blind_disagreement=disagreement,
        rubber_stamping=_below(override, disagreement),
        wrongly_for_buyer=Share.of(_for_buyer(c.first.ruling) and c.reference == Ruling.DISMISS for c in referred),
        wrongly_for_seller=Share.of(
            c.first.ruling == Ruling.DISMISS and c.reference is not None and _for_buyer(c.reference) for c in referred
        ),
        consistency=_consistency(found),
        people=_people(found),
    )


def _cases(connection: Connection, since: datetime) -> list[_Case]:
    query = (
        sa.select(
            decision_events.c.case_key,
            decision_events.c.payload,
            cases.c.claim,
            cases.c.rule_pack,
            cases.c.requested,
        )
        .join(cases, cases.c.id == decision_events.c.case_key)
        .where(decision_events.c.is_end.is_(False), decision_events.c.at >= since)
        .order_by(decision_events.c.id)
    )
    made: dict[int, list[Decision]] = defaultdict(list)
    kinds: dict[int, tuple[str, ...]] = {}
    for row in connection.execute(query):
        made[row.case_key].append(Decision.model_validate_json(row.payload))
        kinds[row.case_key] = (row.claim, row.rule_pack or "", row.requested)
    machine = {
        row.suggestion_id: row.ruling
        for row in connection.execute(
            sa.select(suggestions.c.suggestion_id, suggestions.c.ruling).where(suggestions.c.created_at >= since)
        )
    }
    return [
        _Case(tuple(decisions), machine.get(decisions[0].suggestion_id or ""), kinds[case_key])
        for case_key, decisions in made.items()
        if decisions[0].stage == Stage.FIRST_REVIEW
    ]


def _below(one: Share, other: Share) -> bool:
    """People who override far less often than they disagree when blind follow the machine rather than the file."""
    return one.high is not None and other.low is not None and one.high < other.low


def _for_buyer(ruling: Ruling) -> bool:
    return ruling in (Ruling.REFUND, Ruling.RETURN_AND_REFUND, Ruling.PARTIAL_REFUND, Ruling.REPLACE)


def _consistency(found: Sequence[_Case]) -> Share:
    """Return how often two people ruled alike on cases of one claim, rule pack and request."""
    alike: dict[tuple[str, ...], list[Decision]] = defaultdict(list)
    for case in found:
        alike[case.comparable].append(case.first)
    pairs: list[bool] = []
    for decisions in alike.values():
        for one, other in combinations(decisions[-200:], 2):
            if one.decided_by != other.decided_by and len(pairs) < _MOST_PAIRS:
                pairs.append(one.ruling == other.ruling)
    return Share.of(pairs)


def _people(found: Sequence[_Case]) -> tuple[PersonFigures, ...]:
    by_person: dict[str, list[_Case]] = defaultdict(list)
    for case in found:
        by_person[case.first.decided_by].append(case)
    return tuple(
        PersonFigures(
            name=name,
            n_decisions=len(own),
            override_rate=Share.of(
                not c.first.agreed for c in own if c.first.suggestion_shown and c.first.agreed is not None
            ),
            upheld=Share.of(c.first.ruling == c.reference for c in own if c.reference is not None),
            median_seconds=_median([c.first.review_seconds for c in own if c.first.review_seconds is not None]),
        )
        for name, own in sorted(by_person.items())
    )


def _median(seconds: Sequence[float]) -> float | None:
    return round(statistics.median(seconds), 1) if seconds else None
