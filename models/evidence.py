"""What the classifiers and the file say about one case, gathered before any rule is applied.

Every piece has a reference, so that a suggestion can be made again without it. Knows nothing of rules or rulings.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from models.domain import Case, ChatMessage
from models.vocabulary import PhotoRole, Speaker, StatementLabel

Region = tuple[int, int, int, int]
Asked = ParamSpec("Asked")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Statement:
    """A scored message.

    ref : message_id, or "buyer_statement" / "seller_statement"
    place : order in the chat; -1 for a side's own account
    """

    ref: str
    speaker: Speaker
    place: int
    probabilities: dict[StatementLabel, float]
    spans: dict[StatementLabel, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class ScoredPhoto:
    """A photo whose bytes were seen. damaged : probability in [0, 1]; None where it shows papers, not goods."""

    ref: str
    role: PhotoRole
    filed_by: str
    damaged: float | None
    region: Region | None = None
    out_of_distribution: float = 0.0


@dataclass(frozen=True)
class ListingMatch:
    """mismatch : probability in [0, 1] that the received photo shows other goods than the listing photo."""

    listing_ref: str
    received_ref: str
    mismatch: float

    @property
    def ref(self) -> str:
        return f"{self.listing_ref}|{self.received_ref}"


class Cues(Protocol):
    """What tells whether a text holds a cue."""

    def has(self, cue: str, text: str | None) -> bool: ...


@dataclass
class _Index:
    """What was found in one case, shared by all copies that leave something out.

    known : what was read of the whole evidence, with the references that it was read from
    reading : the references heard by each reading under way, the innermost last
    """

    by_label: dict[tuple[Speaker, StatementLabel], list[tuple[str, float]]] = field(default_factory=dict)
    by_cue: dict[tuple[int, str], tuple[ChatMessage, ...]] = field(default_factory=dict)
    known: dict[tuple[Any, ...], tuple[Any, set[str]]] = field(default_factory=dict)
    reading: list[set[str]] = field(default_factory=list)

    def hear(self, *refs: str) -> None:
        """Note for the reading under way that these pieces may have moved it."""
        if self.reading:
            self.reading[-1].update(refs)


@dataclass(frozen=True)
class CaseEvidence:
    """The case with its scored evidence.

    photos : those whose bytes could be read; unreadable : ids of those whose bytes could not
    left_out : references (also of facts) to be ignored
    """

    case: Case
    statements: tuple[Statement, ...] = ()
    photos: tuple[ScoredPhoto, ...] = ()
    match: ListingMatch | None = None
    unreadable: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()
    index: _Index = field(default_factory=_Index, repr=False, compare=False)

    def without(self, ref: str) -> "CaseEvidence":
        """Return the same evidence, this piece ignored."""
        return replace(self, left_out=self.left_out | {ref})

    def said(
        self, *labels: StatementLabel, by: Speaker, at_least: float = 0.0
    ) -> Iterator[tuple[Statement, StatementLabel, float]]:
        """Yield (statement, label, probability) of what `by` said in the chat and in their own account.

        at_least : probability below which a statement counts as not made
        """
        for statement in self.statements:
            if statement.speaker == by and statement.ref not in self.left_out:
                for label in labels:
                    probability = statement.probabilities.get(label, -1.0)
                    if probability >= at_least:
                        self.index.hear(statement.ref)
                        yield statement, label, probability

    def strongest(self, label: StatementLabel, *, by: Speaker) -> tuple[str | None, float]:
        """Return (ref, probability) of the likeliest such statement; (None, 0.0) where there is none."""
        key = (by, label)
        if key not in self.index.by_label:
            found = [
                (s.ref, s.probabilities[label]) for s in self.statements if s.speaker == by and label in s.probabilities
            ]
            self.index.by_label[key] = sorted(found, key=lambda item: -item[1])
        first = next((item for item in self.index.by_label[key] if item[0] not in self.left_out), None)
        if first is None:
            return None, 0.0
        self.index.hear(first[0])
        return first

    def messages_with(self, cue: str, *, cues: Cues) -> list[ChatMessage]:
        """Return the chat's messages that hold the cue, in order."""
        key = (id(cues), cue)
        if key not in self.index.by_cue:
            self.index.by_cue[key] = tuple(message for message in self.case.chat if cues.has(cue, message.text))
        self.index.hear(*(message.message_id for message in self.index.by_cue[key]))
        return [message for message in self.index.by_cue[key] if message.message_id not in self.left_out]

    def refs_saying(self, cue: str, *, by: Speaker, cues: Cues) -> list[str]:
        """Return the refs of what `by` said that holds the cue: chat messages in order, then their own account."""
        refs = [message.message_id for message in self.messages_with(cue, cues=cues) if message.speaker == by]
        account = f"{by}_statement"
        if self.counts(account) and cues.has(cue, getattr(self.case, account, None)):
            refs.append(account)
        return refs

    def on_page(self, cue: str, *, cues: Cues) -> bool:
        """Tell whether the page holds the cue; `listing.<cue>` refers to it."""
        return self.counts(f"listing.{cue}") and cues.has(cue, self.case.listing.text)

    def photos_of(self, *roles: PhotoRole, filed_by: str) -> list[ScoredPhoto]:
        found = [photo for photo in self.photos if photo.role in roles and photo.filed_by == filed_by]
        self.index.hear(*(photo.ref for photo in found))
        return [photo for photo in found if photo.ref not in self.left_out]

    def counts(self, ref: str) -> bool:
        """Tell whether the piece or fact `ref` is to be considered."""
        self.index.hear(ref)
        return ref not in self.left_out


def read_once(
    read: Callable[Concatenate[CaseEvidence, Asked], Found],
) -> Callable[Concatenate[CaseEvidence, Asked], Found]:
    """Let what is read of the whole evidence stand for copies that leave out only pieces which it wasn't read from.

    An explanation leaves out one piece after the other, and most findings rest on few. What is read may be shared and
    must not be changed.
    """

    @wraps(read)
    def recall(evidence: CaseEvidence, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Found:
        index, key = evidence.index, (read, args, tuple(kwargs.items()))
        known = index.known.get(key)
        if known is None and not evidence.left_out:
            index.reading.append(set())
            try:
                found = read(evidence, *args, **kwargs)
            finally:
                heard = index.reading.pop()
            known = index.known[key] = found, heard
        if known is None or not known[1].isdisjoint(evidence.left_out):
            return read(evidence, *args, **kwargs)
        index.hear(*known[1])
        return known[0]  # type: ignore[no-any-return]

    return recall


@dataclass(frozen=True)
class Finding:
    """Whether a proposition holds, as far as the evidence shows.

    probability : in [0, 1]
    supported_by, opposed_by : references of the evidence that speaks for and against it
    """

    probability: float
    supported_by: tuple[str, ...] = ()
    opposed_by: tuple[str, ...] = ()


Weighted = tuple[str | None, float]


def weigh(support: Sequence[Weighted], against: Sequence[Weighted] = ()) -> Finding:
    """Combine independent pieces: noisy-or of the support, each opposing piece taking its share away.

    Source: noisy-or, Pearl, Probabilistic Reasoning in Intelligent Systems (1988), ch. 4.
    """
    doubt = 1.0
    for _, weight in support:
        doubt *= 1.0 - weight
    probability = 1.0 - doubt
    for _, weight in against:
        probability *= 1.0 - weight
    return Finding(
        min(max(probability, 0.0), 1.0),
        tuple(ref for ref, weight in support if ref and weight >= 0.1),
        tuple(ref for ref, weight in against if ref and weight >= 0.1),
    )
