"""A chat classifier on the tiny encoder, with random heads over every label: real code, one second."""

from pathlib import Path

import numpy as np

from models.chat import ChatClassifier, full_rank
from models.chat_heads import CLAIMS, LABELS, Heads
from models.encoders import prepare_text_encoder
from models.phrases import PhraseWeights, phrases, units
from models.windows import WindowMaker


def build_tiny_chat(source: str, cache_dir: Path) -> ChatClassifier:
    """Return the classifier. source : what `save_tiny_encoder` returned"""
    rng = np.random.default_rng(0)
    n_labels = len(LABELS)
    known = sorted({phrase for phrase, _ in phrases(units("收到碎了 see photo 退款"))})
    vocabulary = {phrase: row for row, phrase in enumerate(known)}
    heads = Heads(
        weight=rng.normal(size=(n_labels, 32)).astype(np.float32),
        focus=rng.normal(size=(n_labels, 32)).astype(np.float32),
        bias=rng.normal(size=n_labels).astype(np.float32),
        phrases=PhraseWeights(
            vocabulary,
            np.ones(len(vocabulary), np.float32),
            rng.normal(size=(len(vocabulary), n_labels)).astype(np.float16).astype(np.float32),
            np.zeros(n_labels, np.float32),
        ),
        encoder_share=np.full(n_labels, 0.7, np.float32),
        phrase_share=np.full(n_labels, 1.3, np.float32),
        shift=np.zeros(n_labels, np.float32),
        alone_shift=np.full(n_labels, 0.5, np.float32),
        resting=rng.normal(size=n_labels).astype(np.float32),
        claim_shift=rng.normal(size=(len(CLAIMS), n_labels)).astype(np.float32),
    )
    name = "encoder.layer.1.attention.self.query.weight"
    delta = {name: (rng.normal(size=(32, 2)).astype(np.float16), rng.normal(size=(2, 32)).astype(np.float16))}
    encoder = prepare_text_encoder(source, cache_dir=cache_dir, delta=full_rank(delta))
    return ChatClassifier(
        encoder=encoder, heads=heads, windows=WindowMaker(encoder.tokenizer), delta=delta, source=source
    )
