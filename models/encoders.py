"""Pretrained text and image encoders in ONNX form, and one `encode` each.

`prepare_*` loads the torch model once (`models.pretrained`), exports it to ONNX and caches the file under the digest of
all that made it. The serving path runs onnxruntime only; torch is imported where a model is exported, never else.
Any Hugging Face id or local path may stand in for the packaged encoders; heads trained on one encoder refuse another
by its digest. Knows nothing of what the vectors are used for.
"""

import hashlib
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

from models.errors import EncoderError
from models.int8 import OPSET, to_int8, weight_range
from models.pretrained import E5_SHA256, EFFICIENTNET_SHA256, PACKAGED, STAGES, load_image_model, load_text_model

MAX_TOKENS = 192
PHOTO_SIDE = 448
THUMBNAIL_SIDE = 112
_TEXT_EXPORT_VERSION = 3
_IMAGE_EXPORT_VERSION = 1

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
    source: str = PACKAGED,
    *,
    cache_dir: Path,
    layers: int | None = None,
    delta: Weights | None = None,
    threads: int = 1,
    int8: bool = False,
) -> TextEncoder:
    """Return the text encoder of `source`, exporting it to ONNX on first use.

    source : "packaged" (multilingual-e5-small), a Hugging Face id, or a local path
    layers : as `load_text_model` takes it
    delta : weight differences by parameter name, added before export
    int8 : multiply in 8 bits, each token's state scaled by itself, so that no batch mate changes a result
    Raises EncoderError when the source is missing, altered or does not fit `delta`.
    """
    digest = _digest(source, E5_SHA256, delta, version=_TEXT_EXPORT_VERSION, layers=layers)
    folder = cache_dir / f"text-{digest[:16]}"
    path = folder / (f"model-int8-{weight_range()}.onnx" if int8 else "model.onnx")
    if not (path.exists() and (folder / "tokenizer.json").exists()):
        model, tokenizer = load_text_model(source, layers=layers)
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
    _export(model, (pixels,), path, input_names=["pixels"], output_names=[*STAGES, "head"])


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


def _digest(source: str, pinned: str, delta: Weights | None, *, version: int, layers: int | None = None) -> str:
    """Return the digest of all that makes an encoder: for a local folder, of its files and not of where it lies."""
    local = source != PACKAGED and Path(source).is_dir()
    made_of = [version, None if local else source, pinned if source == PACKAGED else None]
    made_of += [] if layers is None else [layers]
    digest = hashlib.sha256(json.dumps(made_of).encode())
    for path in sorted(path for path in Path(source).rglob("*") if path.is_file()) if local else []:
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(source)} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    for name in sorted(delta or {}):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray((delta or {})[name]).tobytes())
    return digest.hexdigest()


def _write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
    os.close(handle)
    try:
        write(Path(name))
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
