"""What the encoder is shown of a conversation: whole messages in a row, after the last words said before them.

`<s> sell … </s> buy a message </s> sell the next </s> …`: who speaks is written by us in front of each message, in one
token of the packaged encoder, and what a message says of itself ("sell …") stays part of its text. Each message is read
in one window, in which it sees what was said before and, up to the window's end, what was answered. A party's message
that poses as the program is read alone, and nobody else's window holds it. Knows nothing of labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.posing import poses_as_program
from models.vocabulary import Speaker

MAX_OWN_TOKENS = 128
CONTEXT_MESSAGES = 3
MAX_CONTEXT_TOKENS = 48
MAX_WINDOW_TOKENS = 256
_WHO = {Speaker.BUYER: "buy", Speaker.SELLER: "sell", Speaker.PLATFORM: "platform", Speaker.SYSTEM: "system"}
_PARTIES = (Speaker.BUYER, Speaker.SELLER)
_BARE_WORD_START = "▁"
_Segment = tuple[list[int], list[tuple[int, int]]]
"""The ids of who speaks and of the text, and the offsets of those that belong to the text."""


@dataclass(frozen=True)
class Utterance:
    """One chat message as the classifier reads it. attachments : photos sent with it, which its text need not name."""

    message_id: str
    speaker: Speaker
    text: str
    attachments: int = 0


@dataclass(frozen=True)
class Member:
    """A message inside a window.

    place : its place in the conversation
    start, end : [start, end) of its own tokens in the window's ids, empty for a text without any
    offsets : [start, end) characters of each own token in the message's text
    """

    place: int
    start: int
    end: int
    offsets: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Window:
    """Token ids of consecutive messages, in their order, after what was said before them."""

    ids: tuple[int, ...]
    members: tuple[Member, ...]


class WindowMaker:
    """Cuts windows out of conversations with one tokenizer.

    context_messages, max_context_tokens : how much of what was said before is shown; the oldest words are cut first
    max_own_tokens : longer messages are cut at the end
    max_window_tokens : a window takes in further messages up to this length; 0 gives each message its own
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        context_messages: int = CONTEXT_MESSAGES,
        max_context_tokens: int = MAX_CONTEXT_TOKENS,
        max_own_tokens: int = MAX_OWN_TOKENS,
        max_window_tokens: int = MAX_WINDOW_TOKENS,
    ) -> None:
        self.tokenizer = tokenizer
        self.context_messages = context_messages
        self.max_context_tokens = max_context_tokens
        self.max_own_tokens = max_own_tokens
        self.max_window_tokens = max_window_tokens
        self._who = {who: tokenizer.encode(word, add_special_tokens=False).ids for who, word in _WHO.items()}

    @property
    def limits(self) -> dict[str, int]:
        """Return the keyword arguments that make the same cut with another tokenizer."""
        return {
            "context_messages": self.context_messages,
            "max_context_tokens": self.max_context_tokens,
            "max_own_tokens": self.max_own_tokens,
            "max_window_tokens": self.max_window_tokens,
        }

    def cut(self, conversation: Sequence[Utterance]) -> list[Window]:
        """Return windows in which each message of the conversation is a member exactly once.

        They are in order, but for those of messages that pose as the program, which come last, one each.
        """
        among: list[tuple[int, _Segment]] = []
        posing: list[tuple[int, _Segment]] = []
        for place, utterance in enumerate(conversation):
            poses = utterance.speaker in _PARTIES and poses_as_program(utterance.text)
            (posing if poses else among).append((place, self._segment(utterance)))
        return [*self._cut(among), *(window for segment in posing for window in self._cut([segment]))]

    def _cut(self, segments: Sequence[tuple[int, _Segment]]) -> list[Window]:
        """Return windows of these segments in a row; each comes with its place in the conversation."""
        begin, *_, end = self.tokenizer.encode("").ids
        windows = []
        ids: list[int] = []
        members: list[Member] = []
        for number, (place, (segment, offsets)) in enumerate(segments):
            if members and len(ids) + len(segment) + 1 > self.max_window_tokens:
                windows.append(Window(tuple(ids), tuple(members)))
                members = []
            if not members:
                ids = [begin, *self._context([said for _, said in segments[:number]], end=end)]
            last = len(ids) + len(segment)
            members.append(Member(place, last - len(offsets), last, tuple(offsets)))
            ids += [*segment, end]
        if members:
            windows.append(Window(tuple(ids), tuple(members)))
        return windows

    def _context(self, said: Sequence[_Segment], *, end: int) -> list[int]:
        """Return the last ids of what was said before."""
        context: list[int] = []
        for segment, _ in reversed(said[max(0, len(said) - self.context_messages) :]):
            context = [*segment, end, *context]
            if len(context) >= self.max_context_tokens:
                break
        return context[max(0, len(context) - self.max_context_tokens) :]

    def _segment(self, utterance: Utterance) -> _Segment:
        """Return the ids of who speaks and of the text, and the offsets of those that belong to the text."""
        limit = 40 * self.max_own_tokens
        said = self.tokenizer.encode(utterance.text[:limit], add_special_tokens=False)
        # A text that opens without a word of its own kind costs a token that says nothing.
        first = 1 if said.tokens[:1] == [_BARE_WORD_START] else 0
        own = slice(first, first + self.max_own_tokens)
        return [*self._who[utterance.speaker], *said.ids[own]], said.offsets[own]
