"""Why the service refuses something, apart from bad input.

RefusalError                    (under models.errors.ReviewError)
├── UnknownError                no such case, photo, decision or user
├── ConflictError               the request contradicts what is stored
│   ├── CaseExistsError             the case is known with another content
│   ├── CaseClosedError             a final decision stands; nothing may be added
│   ├── CaseErasedError             what the case held was erased; nothing more can be done with it
│   ├── CaseUnderWayError           the case can't be erased yet
│   ├── AlreadyDecidedError         the stage has its decision
│   ├── NothingToReviewError        a later stage or a withdrawal without a decision to stand on
│   ├── StaleVersionError           the case has a newer version than the one judged
│   ├── HeldError                   somebody else holds the case
│   ├── LoadCapError                the person holds as many cases as one may
│   ├── NoticeSentError             the notice has left and can't be edited
│   ├── SuggestionHiddenError       the case is decided blind first; what the machine says stays hidden till then
│   ├── SuggestionsOffError         a lead switched suggestions off for this kind of case
│   ├── RequestInFlightError        the same request under this key is under way
│   ├── AnswerLostError             it had its effect, and its answer was lost in a crash
│   ├── ChampionMovedError          the champion is no longer the one that was looked at
│   ├── RetrainingUnderWayError     one retraining at a time
│   └── NameTakenError              a user of that name exists
├── DepartsError                a ruling other than all comparable ones, without saying why (an InputError too)
├── KeyReusedError              an Idempotency-Key came back with another body
├── KeyMissingError             this request needs an Idempotency-Key
├── StrangerError               nobody is signed in
├── TooManyError                too much was asked in a short time
│   └── LockedOutError              too many wrong passwords for one name
├── ForbiddenError              signed in, but not allowed to do this
├── BodyTooLargeError           more bytes than are taken
├── ModelAbsentError            no model is loaded
├── ScoringBusyError            no scoring turn became free in time
├── PhotoCorruptError           a stored photo's bytes are not what was filed
├── StorageError                database or photo folder don't answer now
│   └── StorageFullError            no room is left
└── LeaseLostError              another worker took the job over

Knows nothing of HTTP: `serving.errors` maps these to statuses.
"""

from models.errors import InputError, ReviewError
from models.vocabulary import Ruling


class RefusalError(ReviewError):
    """Root of every refusal."""


class UnknownError(RefusalError):
    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"no {kind} {name!r} is known")
        self.kind, self.name = kind, name


class ConflictError(RefusalError):
    """The request contradicts what is stored."""


class CaseExistsError(ConflictError):
    def __init__(self, *, platform: str, case_id: str) -> None:
        super().__init__(f"case {platform}/{case_id} is known with another content; file changes as evidence")
        self.platform, self.case_id = platform, case_id


class CaseClosedError(ConflictError):
    def __init__(self, *, platform: str, case_id: str) -> None:
        super().__init__(f"case {platform}/{case_id} is decided; nothing can be added unless the decision is withdrawn")
        self.platform, self.case_id = platform, case_id


class CaseErasedError(ConflictError):
    def __init__(self, *, platform: str, case_id: str) -> None:
        super().__init__(f"what case {platform}/{case_id} held was erased; nothing more can be done with it")
        self.platform, self.case_id = platform, case_id


class CaseUnderWayError(ConflictError):
    def __init__(self, *, platform: str, case_id: str, why: str) -> None:
        super().__init__(f"case {platform}/{case_id} is under way: {why}")
        self.platform, self.case_id, self.why = platform, case_id, why


class AlreadyDecidedError(ConflictError):
    def __init__(self, *, platform: str, case_id: str, stage: str) -> None:
        super().__init__(f"case {platform}/{case_id} already has a decision in stage {stage}; the first one stands")
        self.platform, self.case_id, self.stage = platform, case_id, stage


class NothingToReviewError(ConflictError):
    """No decision stands that this could act on."""


class NameTakenError(ConflictError):
    def __init__(self, name: str) -> None:
        super().__init__(f"a user named {name!r} exists")
        self.name = name


class StaleVersionError(ConflictError):
    def __init__(self, *, judged: int, current: int) -> None:
        super().__init__(f"version {judged} was judged, but the case is now at version {current}")
        self.judged, self.current = judged, current


class HeldError(ConflictError):
    def __init__(self, *, held_by: str) -> None:
        super().__init__(f"{held_by} holds this case now")
        self.held_by = held_by


class LoadCapError(ConflictError):
    def __init__(self, *, cap: int) -> None:
        super().__init__(f"one person may hold {cap} cases at a time; decide, skip or release one first")
        self.cap = cap


class NoticeSentError(ConflictError):
    def __init__(self) -> None:
        super().__init__("the notice was sent or taken back; it can't be changed any more")


class SuggestionHiddenError(ConflictError):
    def __init__(self, what: str = "this case") -> None:
        super().__init__(f"{what} is decided blind first; what the machine says is shown after the ruling")


class SuggestionsOffError(ConflictError):
    def __init__(self) -> None:
        super().__init__("a lead has switched suggestions off for this claim or platform")


class RequestInFlightError(ConflictError):
    retry_after_s = 1.0

    def __init__(self) -> None:
        super().__init__("the same request under this Idempotency-Key is under way; ask again shortly")


class AnswerLostError(ConflictError):
    def __init__(self) -> None:
        super().__init__("this request had its effect before; its answer was lost. Read the case for what it is now")


class ChampionMovedError(ConflictError):
    """seen, now : numbers of the champion looked at and of the present one; None where there is none"""

    def __init__(self, *, seen: int | None, now: int | None) -> None:
        super().__init__(f"the champion is now {_model(now)}, not {_model(seen)}; look again before you move it")
        self.seen, self.now = seen, now


class RetrainingUnderWayError(ConflictError):
    def __init__(self, *, asked_by: str) -> None:
        super().__init__(f"a retraining that {asked_by} asked for is under way; wait for it or cancel it first")
        self.asked_by = asked_by


class DepartsError(RefusalError, InputError):
    """usual : what all comparable cases were ruled"""

    def __init__(self, *, usual: Ruling) -> None:
        super().__init__(f"is required: comparable cases were all ruled {usual.value}", field="distinguishes")
        self.usual = usual


class KeyMissingError(RefusalError):
    def __init__(self) -> None:
        super().__init__("this needs an Idempotency-Key header, so that sending it again is safe")


class KeyReusedError(RefusalError):
    def __init__(self, key: str) -> None:
        super().__init__("this Idempotency-Key was used for another request")
        self.key = key


class StrangerError(RefusalError):
    """Nobody is signed in, or what was shown is wrong, expired or revoked."""


class TooManyError(RefusalError):
    """retry_after_s : when to ask again, seconds"""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LockedOutError(TooManyError):
    def __init__(self, *, retry_after_s: float) -> None:
        super().__init__("too many wrong passwords; wait, or ask for a one-time link", retry_after_s=retry_after_s)


class ForbiddenError(RefusalError):
    """Signed in, but not allowed to do this."""


class BodyTooLargeError(RefusalError):
    def __init__(self, *, max_bytes: int) -> None:
        super().__init__(f"the body is larger than the {max_bytes} bytes taken")
        self.max_bytes = max_bytes


class ModelAbsentError(RefusalError):
    def __init__(self) -> None:
        super().__init__("no model is loaded; cases are taken in and can be decided without a suggestion")


class ScoringBusyError(RefusalError):
    def __init__(self) -> None:
        super().__init__("all scoring turns are taken; try again shortly")


class PhotoCorruptError(RefusalError):
    def __init__(self, digest: str) -> None:
        super().__init__(f"the stored bytes of photo {digest} are not what was filed")
        self.digest = digest


class StorageError(RefusalError):
    """The database or the photo folder doesn't answer now. Nothing of the request is stored."""


class StorageFullError(StorageError):
    def __init__(self) -> None:
        super().__init__("no room is left on the disk; nothing of the request is stored")


class LeaseLostError(RefusalError):
    def __init__(self, job_id: int) -> None:
        super().__init__(f"job {job_id} was taken over by another worker")
        self.job_id = job_id


def _model(number: int | None) -> str:
    return f"model {number}" if number is not None else "none"
