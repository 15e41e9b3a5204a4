"""What the encoder is shown of a message: the message itself, after the last words said before it.

`<s> buyer: … </s> seller: … </s> buyer: the message </s>`: who speaks is written by us in front of each message, and
what a message says of itself ("system: …") stays part of its text. Knows nothing of labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.vocabulary import Speaker

MAX_OWN_TOKENS = 128
CONTEXT_MESSAGES = 3
MAX_CONTEXT_TOKENS = 48


@dataclass(frozen=True)
class Utterance:
    """One chat message as the classifier reads it. attachments : photos sent with it, which its text need not name."""

    message_id: str
    speaker: Speaker
    text: str
    attachments: int = 0


@dataclass(frozen=True)
class Window:
    """Token ids of a message in its context.

    ids : the whole input
    own : [start, end) of the message's own tokens in `ids`, empty for a text without any
    offsets : [start, end) characters of each own token in the message's text
    """

    ids: tuple[int, ...]
    own: tuple[int, int]
    offsets: tuple[tuple[int, int], ...]


class WindowMaker:
    """Cuts windows out of conversations with one tokenizer.

    context_messages, max_context_tokens : how much of what was said before is shown; the oldest words are cut first
    max_own_tokens : longer messages are cut at the end
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        context_messages: int = CONTEXT_MESSAGES,
        max_context_tokens: int = MAX_CONTEXT_TOKENS,
        max_own_tokens: int = MAX_OWN_TOKENS,
    ) -> None:
        self.tokenizer = tokenizer
        self.context_messages = context_messages
        self.max_context_tokens = max_context_tokens
        self.max_own_tokens = max_own_tokens

    def cut(self, conversation: Sequence[Utterance]) -> list[Window]:
        """Return one window a message."""
        begin, *_, end = self.tokenizer.encode("").ids
        segments = [self._segment(utterance) for utterance in conversation]
        windows = []
        for place, (ids, offsets) in enumerate(segments):
            context: list[int] = []
            for earlier, _ in reversed(segments[max(0, place - self.context_messages) : place]):
                context = [*earlier, end, *context]
                if len(context) >= self.max_context_tokens:
                    context = context[-self.max_context_tokens :]
                    break
            prefix = len(ids) - len(offsets)
            start = 1 + len(context) + prefix
            windows.append(Window((begin, *context, *ids, end), (start, start + len(offsets)), tuple(offsets)))
        return windows

    def _segment(self, utterance: Utterance) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of `speaker: text` and the offsets of those that belong to the text."""
        prefix = f"{utterance.speaker.value}: "
        limit = 40 * self.max_own_tokens
        encoding = self.tokenizer.encode(prefix + utterance.text[:limit], add_special_tokens=False)
        own = [(max(0, start - len(prefix)), end - len(prefix)) for start, end in encoding.offsets if end > len(prefix)]
        before = len(encoding.ids) - len(own)
        own = own[: self.max_own_tokens]
        return list(encoding.ids[: before + len(own)]), own
