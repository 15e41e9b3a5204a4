"""The packed 4-bit model decodes to the numbers that were packed; a file written here by the format is the oracle."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.e5 import kept_pieces, read_packed, to_transformers
from models.errors import EncoderError

HIDDEN, FEED_FORWARD, POSITIONS = 32, 64, 16
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁query", ":", "杯", "子", "碎", "▁cup", "привет"]
SHAPES = {
    "emb.word": (len(PIECES), HIDDEN),
    "emb.pos": (POSITIONS, HIDDEN),
    "emb.type": (2, HIDDEN),
    "emb.ln.w": (HIDDEN,),
    "emb.ln.b": (HIDDEN,),
    **{f"l0.{part}.w": (HIDDEN, HIDDEN) for part in ("q", "k", "v", "ao")},
    "l0.fi.w": (FEED_FORWARD, HIDDEN),
    "l0.fo.w": (HIDDEN, FEED_FORWARD),
    **{f"l0.{part}.b": (HIDDEN,) for part in ("q", "k", "v", "ao", "fo")},
    "l0.fi.b": (FEED_FORWARD,),
    **{f"l0.{part}.{kind}": (HIDDEN,) for part in ("aln", "oln") for kind in ("w", "b")},
}


def four_bit(values: NDArray[np.int64], scales: NDArray[np.float16]) -> bytes:
    """Pack integers in [-8, 7], shape (n_blocks, 32): low nibbles are the first 16 of a block, high ones the rest."""
    blocks = []
    for row, scale in zip(values + 8, scales, strict=True):
        blocks.append(scale.tobytes() + bytes(int(row[j]) | int(row[j + 16]) << 4 for j in range(16)))
    return b"".join(blocks)


def packed_file(path: Path, *, without: str | None = None, block: int = 32) -> dict[str, NDArray[np.float32]]:
    """Write a one-layer model to `path` and return its true weights; matrices are packed in 4 bits."""
    rng = np.random.default_rng(3)
    true: dict[str, NDArray[np.float32]] = {}
    bodies: list[tuple[str, int, int, bytes]] = []
    for name, shape in SHAPES.items():
        if name == without:
            continue
        n = int(np.prod(shape))
        if len(shape) == 2:
            values = rng.integers(-8, 8, (n // 32, 32))
            scales = rng.uniform(0.01, 0.1, n // 32).astype(np.float16)
            true[name] = (values * scales.astype(np.float32)[:, None]).astype(np.float32).reshape(shape)
            bodies.append((name, 1, n, four_bit(values, scales)))
        else:
            true[name] = rng.normal(1.0, 0.1, n).astype(np.float32)
            bodies.append((name, 0, n, true[name].tobytes()))
    blobs = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, blobs)]).astype("<u4")
    scores = np.linspace(0, -8, len(PIECES)).astype("<f4")
    head = b"E5S1" + struct.pack("<I7ifi", 1, HIDDEN, 1, 2, FEED_FORWARD, len(PIECES), POSITIONS, 2, 1e-12, block)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(offsets[-1]))
    head += offsets.tobytes() + scores.tobytes() + b"".join(blobs) + struct.pack("<iI", 0, 4) + b"skip"
    head += struct.pack("<i", len(bodies))
    place = len(head) + sum(2 + len(name) + struct.calcsize("<BIQQ") for name, *_ in bodies)
    directory, data = b"", b""
    for name, dtype, n, body in bodies:
        directory += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", dtype, n, place, len(body))
        data += body
        place += len(body)
    path.write_bytes(head + directory + data)
    return true


def test_every_weight_is_the_one_that_was_packed(tmp_path: Path) -> None:
    true = packed_file(tmp_path / "tiny.bin")
    packed = read_packed(tmp_path / "tiny.bin")
    assert (packed.hidden, packed.layers, packed.heads, packed.feed_forward) == (HIDDEN, 1, 2, FEED_FORWARD)
    assert packed.pieces == PIECES
    assert set(packed.tensors) == set(true)
    for name, values in true.items():
        np.testing.assert_allclose(packed.tensors[name], values.ravel(), rtol=1e-6)


def test_the_model_holds_the_packed_weights_under_transformers_names(tmp_path: Path) -> None:
    true = packed_file(tmp_path / "tiny.bin")
    model, _ = to_transformers(read_packed(tmp_path / "tiny.bin"))
    state = model.state_dict()
    np.testing.assert_allclose(state["encoder.layer.0.attention.self.key.weight"].numpy(), true["l0.k.w"], rtol=1e-6)
    np.testing.assert_allclose(state["encoder.layer.0.output.LayerNorm.bias"].numpy(), true["l0.oln.b"], rtol=1e-6)
    kept = kept_pieces(PIECES)
    np.testing.assert_allclose(state["embeddings.word_embeddings.weight"].numpy(), true["emb.word"][kept], rtol=1e-6)
    assert not model.training


def test_only_pieces_that_chinese_and_english_need_are_kept() -> None:
    pieces = [*PIECES, "🙂", "，", "café", "ab—c"]
    assert [pieces[i] for i in kept_pieces(pieces)] == [*PIECES[:-1], "🙂", "，", "ab—c"]


def test_the_tokenizer_frames_texts_and_splits_by_the_unigram_scores(tmp_path: Path) -> None:
    packed_file(tmp_path / "tiny.bin")
    _, tokenizer = to_transformers(read_packed(tmp_path / "tiny.bin"))
    encoding = tokenizer.encode("query: 杯子")
    assert encoding.tokens == ["<s>", "▁query", ":", "▁", "杯", "子", "</s>"]
    assert encoding.offsets[4:6] == [(7, 8), (8, 9)]
    assert tokenizer.encode("query:   杯子").ids == encoding.ids


@pytest.mark.parametrize("data", [b"", b"E5S1", b"GGUF" + b"\0" * 200, b"E5S1" + b"\xff" * 400])
def test_what_is_no_packed_model_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "broken.bin").write_bytes(data)
    with pytest.raises(EncoderError, match=r"broken\.bin"):
        read_packed(tmp_path / "broken.bin")


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    packed_file(tmp_path / "tiny.bin")
    data = (tmp_path / "tiny.bin").read_bytes()
    for share in (0.001, 0.01, 0.1, 0.5, 0.999):
        (tmp_path / "tiny.bin").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(EncoderError, match=r"tiny\.bin"):
            read_packed(tmp_path / "tiny.bin")


def test_blocks_of_another_size_are_refused(tmp_path: Path) -> None:
    packed_file(tmp_path / "tiny.bin", block=64)
    with pytest.raises(EncoderError, match="blocks of 64 weights"):
        read_packed(tmp_path / "tiny.bin")


def test_a_model_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    packed_file(tmp_path / "tiny.bin", without="l0.v.w")
    with pytest.raises(EncoderError, match="lacks"):
        to_transformers(read_packed(tmp_path / "tiny.bin"))
