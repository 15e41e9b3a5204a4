"""What one would write first: a transformers pipeline and torch eager in a loop, case by case, message by message.

Each message is read after the words said before it, photos are decoded whole, the rules are asked draw by draw, and
each piece of evidence is left out in turn. The same weights and rules as the product, so that only the way of running
differs. Knows nothing of timing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.adjudication import CERTAIN, Adjudication, draws
from models.burden import Order, adjudicate
from models.case_file import CaseFile
from models.chat import ChatClassifier, full_rank
from models.domain import Case, Suggestion
from models.encoders import (
    ImageEncoder,
    PhotoFeatures,
    TextEncoder,
    letterbox,
)
from models.errors import ImageError
from models.findings import AGREED_REMEDIES, PROPOSITIONS, Findings
from models.images import open_photo
from models.pretrained import PACKAGED, load_image_model, load_text_model
from models.rule_pack import RulePack
from models.ruling import features
from models.scorer import EvidenceScorer, _SeenPhoto
from models.suggester import Ruled, Suggester
from models.windows import WindowMaker


class EagerText(TextEncoder):
    """A feature-extraction pipeline around the transformers model as loaded, one text at a time.

    layers : kept of the encoder's, None for all, as it is published
    """

    def __init__(self, chat: ChatClassifier, *, layers: int | None) -> None:
        import torch
        from transformers import PreTrainedTokenizerFast, pipeline

        model, self.tokenizer = load_text_model(PACKAGED, layers=layers)
        parameters = dict(model.named_parameters())
        with torch.no_grad():
            for name, difference in full_rank(chat.delta).items():
                parameters[name] += torch.from_numpy(difference)
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=self.tokenizer)
        self.pipeline = pipeline("feature-extraction", model=model, tokenizer=tokenizer, device="cpu")
        self.digest = chat.encoder.digest

    def token_states(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        import torch

        states = []
        for row in ids:
            said = torch.from_numpy(row[None])
            states.append(self.pipeline.forward({"input_ids": said, "attention_mask": torch.ones_like(said)})[0])
        return np.asarray(torch.cat(states).numpy(), np.float32)


class EagerImage(ImageEncoder):
    """The torch model as loaded."""

    def __init__(self, like: ImageEncoder) -> None:
        self.model = load_image_model(PACKAGED)
        self.names = [output.name for output in like.session.get_outputs()]
        self.digest = like.digest

    def encode(self, image: Any, *, scale: float = 1.0) -> PhotoFeatures:
        import torch

        square, ratio, offset = letterbox(image)
        pixels = (np.asarray(square, np.float32) - 127.0) / 128.0
        with torch.no_grad():
            outputs = self.model(torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()))
        return PhotoFeatures(
            maps={name: found[0].numpy() for name, found in zip(self.names, outputs, strict=True)},
            thumbnail=np.asarray(square.resize((112, 112)), np.uint8),
            scale=ratio * scale,
            offset=offset,
            size=(round(image.width * scale), round(image.height * scale)),
        )


class LoopScorer(EvidenceScorer):
    """Decodes each photo at its full size and remembers nothing."""

    def _look_at(self, data: bytes) -> _SeenPhoto | None:
        try:
            upright = open_photo(data)
        except ImageError:
            return None
        features = self.image_encoder.encode(upright.image, scale=upright.scale)
        return _SeenPhoto(features, self.damage.score(features))


def draw_by_draw(case: Case, pack: RulePack, findings: Findings) -> dict[Order, float]:
    """Return what `models.adjudication.expected_orders` returns, the rules asked about each draw."""
    stated = [findings.stated[name].probability for name in PROPOSITIONS]
    settled = [0.0 if p < CERTAIN else 1.0 if p > 1 - CERTAIN else p for p in stated]
    edges = np.cumsum([findings.agreed[remedy].probability for remedy in AGREED_REMEDIES])
    found: dict[Order, float] = {}
    for *uniforms, last in draws().tolist():
        holds = {name: u < p for name, u, p in zip(PROPOSITIONS, uniforms, settled, strict=True)}
        place = int((edges <= last).sum())
        agreed = AGREED_REMEDIES[place] if place < len(edges) else None
        order = adjudicate(case, pack, holds, agreed=agreed)
        found[order] = found.get(order, 0.0) + 1 / len(draws())
    return found


class PlainSuggester(Suggester):
    """Asks the rules about one finding after the other, draw by draw."""

    def _rule(self, findings: Sequence[Findings], adjudication: Adjudication) -> list[Ruled]:
        ruled = []
        for one in findings:
            orders = draw_by_draw(adjudication.case, adjudication.pack, one)
            row = features(adjudication.case, one, orders)
            ruled.append(Ruled(one, orders, self.ruling.predict_proba(row[None])[0]))
        return ruled


class NaiveLoop:
    """like : the product's Suggester, whose weights are taken

    whole_encoder : read chats with all layers of the encoder as published, which is what one would write first; those
        that we leave out are there for their time, not for their answers
    """

    def __init__(self, like: Suggester, *, whole_encoder: bool) -> None:
        scorer = like.scorer
        if not isinstance(scorer, EvidenceScorer):
            raise TypeError("only the shipped scorer can be taken apart")
        text = EagerText(scorer.chat, layers=None if whole_encoder else scorer.chat.layers)
        chat = ChatClassifier(
            encoder=text,
            heads=scorer.chat.heads,
            windows=WindowMaker(text.tokenizer, max_window_tokens=0),
            delta=scorer.chat.delta,
            source=PACKAGED,
            layers=scorer.chat.layers,
        )
        self.suggester = PlainSuggester(
            scorer=LoopScorer(
                chat=chat,
                damage=scorer.damage,
                listing=scorer.listing,
                image_encoder=EagerImage(scorer.image_encoder),
            ),
            ruling=like.ruling,
            rule_book=like.rule_book,
            model_version=like.model_version,
        )

    def suggest(self, files: Sequence[CaseFile]) -> list[Suggestion]:
        return [self.suggester.suggest([file])[0] for file in files]
