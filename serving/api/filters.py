"""What both the queue and the next case can be narrowed to, within what the caller may see."""

from typing import Annotated, Literal

from fastapi import Depends, Query

from models.vocabulary import Claim, Platform
from serving.deps import Reader
from serving.records import QueueFilter

_Sum = Annotated[int | None, Query(ge=0, le=10**12)]


def _asked(
    person: Reader,
    claim: Claim | None = None,
    platform: Platform | None = None,
    language: Literal["zh", "en"] | None = None,
    overdue: bool = False,
    min_paid_minor: _Sum = None,
    max_paid_minor: _Sum = None,
) -> QueueFilter:
    return QueueFilter(
        claim=claim,
        platform=platform,
        language=language,
        overdue=overdue,
        min_paid_minor=min_paid_minor,
        max_paid_minor=max_paid_minor,
        within=person.user.queues,
    )


Asked = Annotated[QueueFilter, Depends(_asked)]
