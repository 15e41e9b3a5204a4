"""What the service says of models: which one is at work, which ones wait, who moved the champion's name, retrainings.

These types are also the API's answers. Knows nothing of SQL, HTTP or the registry.
"""

from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict

from models.domain import Frozen
from models.drift import Against, FeatureDrift
from models.fields import Reason
from models.vocabulary import Platform
from serving.desk_records import Share

RetrainingState = Literal["waiting", "running", "done", "failed", "cancelled"]


class PromotionDraft(Frozen):
    """Why a model is to become champion. instead_of : number of the champion that was looked at, null for none"""

    instead_of: int | None
    reason: Reason


class RollbackDraft(Frozen):
    """Why the champion is to give way to the one before it. instead_of : number of the champion that was looked at"""

    instead_of: int
    reason: Reason


class GateDifference(Frozen):
    """A figure of champion and challenger, lower is better, and challenger minus champion with its interval."""

    model_config = ConfigDict(extra="ignore")

    name: str
    champion: float
    challenger: float
    difference: dict[str, float | None]
    worse: bool


class GateVerdict(Frozen):
    """What the gate said. certainty : share of resamples on which the challenger has the lower log-loss"""

    model_config = ConfigDict(extra="ignore")

    passed: bool
    reasons: tuple[str, ...]
    n_gold: int
    certainty: float
    overall: tuple[GateDifference, ...] = ()


class ModelRow(Frozen):
    """A model in the registry.

    judged_against : number of the champion that the gate passed it against; null where it didn't pass
    gate : null where the run kept no report, as for the first champion
    may_be_promoted : whether the gate passed it against the present champion
    """

    number: int
    model_version: str
    registered_at: AwareDatetime | None
    standing: Literal["champion", "challenger"] | None
    judged_against: int | None
    gate: GateVerdict | None
    may_be_promoted: bool


class ModelMove(Frozen):
    """A move of the champion's name, and who answers for it."""

    at: AwareDatetime
    by: str
    action: Literal["promote", "rollback"]
    from_number: int | None
    to_number: int
    reason: str


class ModelsView(Frozen):
    """Every model, the newest first, and the moves of the champion's name, the newest first.

    at_work : version of the model that this process scores with, null without one; a new champion is taken up within
    `taken_up_within_s` seconds of its promotion, unless it is refused: `refused` says why
    """

    at_work: str | None
    champion: int | None
    challenger: int | None
    taken_up_within_s: float
    refused: str | None = None
    models: tuple[ModelRow, ...]
    moves: tuple[ModelMove, ...]


class Retraining(Frozen):
    """A retraining asked for here: `evidence-train retrain`, run by a worker.

    said : the newest lines that it said, oldest first; problem : why it failed
    """

    retraining_id: int
    state: RetrainingState
    asked_by: str
    asked_at: AwareDatetime
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    said: tuple[str, ...] = ()
    problem: str | None = None


class ShadowState(Frozen):
    """Whether a challenger scores live cases unseen, since when and by whom."""

    on: bool
    by: str | None = None
    since: AwareDatetime | None = None


class ShadowDraft(Frozen):
    """Whether a challenger is to score live cases unseen."""

    on: bool


class ShadowSlice(Frozen):
    """Cases of one kind. agreement : of all that both scored; the rest on cases that people decided blind"""

    kind: Literal["claim", "language", "platform"]
    name: str
    agreement: Share
    champion_right: Share
    challenger_right: Share


class ShadowComparison(Frozen):
    """Champion and challenger on the same live cases.

    champion, challenger : model versions, null for none
    agreement : share of cases on which both have the same likeliest ruling
    figures : on cases that people decided blind, lower is better, with paired bootstrap intervals; empty under ten
    covered : share of blind cases whose ruling the challenger's prediction set holds; promised : what it should be
    n_failed : cases that the challenger could not score; refused : why the challenger could not be loaded
    """

    state: ShadowState
    champion: str | None
    challenger: str | None
    refused: str | None = None
    n_failed: int = 0
    agreement: Share
    figures: tuple[GateDifference, ...] = ()
    champion_covered: Share
    challenger_covered: Share
    promised: float | None = None
    slices: tuple[ShadowSlice, ...] = ()


class SeenAt(Frozen):
    """A case that shows drift."""

    platform: Platform
    case_id: str


class DriftedFeature(FeatureDrift):
    """A feature of the newest cases, and what it was compared with.

    against : the model's training cases, the first that it scored here, or what its prediction sets promise
    cases : some that show it; none that is still to be decided blind
    """

    against: Against
    cases: tuple[SeenAt, ...]


class DriftReport(Frozen):
    """Whether the cases of now drift away from those that the model was made for.

    reference : whether the model brought a reference of its training cases (training) or everything is compared with
        the first cases that it scored here (first_live), as with a model made from simulated cases
    n_first : cases that the model scored here first; 0 while there are too few to compare with
    n_window : newest cases looked at
    n_missing : cases still to be scored before anything can be said
    level : chance of an alarm in a window without drift, over all features together, at most
    """

    model_version: str | None
    reference: Literal["training", "first_live"] | None
    n_first: int = 0
    n_window: int = 0
    n_missing: int
    level: float
    features: tuple[DriftedFeature, ...] = ()

    @property
    def alarms(self) -> tuple[DriftedFeature, ...]:
        return tuple(one for one in self.features if one.alarmed)


Report = dict[str, Any]
