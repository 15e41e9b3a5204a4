"""The least that decoding and the encoders could cost on this machine, and what each stage costs over it.

The floor of an encoder is its multiply-adds at the rate of this machine's own matrix product in the same shapes and
type on one thread: numpy's in float32, and onnxruntime's in 8 bits for what the chat encoder multiplies by weights.
Knows nothing of backlogs or of the service.
"""

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from bench.backlogs import case_files
from models.case_file import CaseFile, photo_digest
from models.encoders import PHOTO_SIDE
from models.evidence import CaseEvidence
from models.images import open_photo
from models.int8 import OPSET
from models.pretrained import load_image_model
from models.scorer import EvidenceScorer, conversation
from models.suggester import Suggester

_WHOLE = 12
_HIDDEN, _HEADS, _FEED_FORWARD = 384, 12, 1536


def cpu_s(act: Callable[[], object]) -> float:
    """Return the CPU seconds of this process that `act` takes."""
    before = time.process_time()
    act()
    return time.process_time() - before


def gemm_rate(rows: int, inner: int, columns: int, *, n_times: int = 30) -> float:
    """Return multiply-adds a CPU second of numpy's float32 product of these shapes: the best of three series."""
    rng = np.random.default_rng(0)
    left = rng.normal(size=(rows, inner)).astype(np.float32)
    right = rng.normal(size=(inner, columns)).astype(np.float32)
    left @ right
    seconds = min(cpu_s(lambda: [left @ right for _ in range(n_times)]) for _ in range(3))
    return rows * inner * columns * n_times / seconds


def int8_rate(rows: int, inner: int, columns: int, *, n_times: int = 30) -> float:
    """Return multiply-adds a CPU second of onnxruntime's bare 8-bit product of these shapes: the best of three."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (inner, columns)).astype(np.int8)
    state = helper.make_tensor_value_info("state", TensorProto.UINT8, [rows, inner])
    result = helper.make_tensor_value_info("result", TensorProto.INT32, [rows, columns])
    product = helper.make_node("MatMulInteger", ["state", "weights"], ["result"])
    graph = helper.make_graph([product], "product", [state], [result], [numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = {"state": rng.integers(0, 256, (rows, inner)).astype(np.uint8)}
    session.run(None, given)
    seconds = min(cpu_s(lambda: [session.run(None, given) for _ in range(n_times)]) for _ in range(3))
    return rows * inner * columns * n_times / seconds


def text_multiply_adds(n_tokens: int, *, layers: int) -> tuple[int, int]:
    """Return the multiply-adds of the chat encoder on one window: by weights, and of attention."""
    weights = 4 * _HIDDEN * _HIDDEN + 2 * _HIDDEN * _FEED_FORWARD
    return layers * n_tokens * weights, layers * 2 * n_tokens * n_tokens * _HIDDEN


def image_multiply_adds() -> int:
    """Return the multiply-adds of the image encoder's convolutions on one photo."""
    import torch

    total = 0

    def count(module: Any, _given: Any, made: Any) -> None:
        nonlocal total
        total += int(made.numel() * module.weight[0].numel())

    model = load_image_model("packaged")
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros((1, 3, PHOTO_SIDE, PHOTO_SIDE)))
    return total


class _Ready:
    """Evidence scored before."""

    def __init__(self, evidence: list[CaseEvidence]) -> None:
        self.evidence = evidence

    def score(self, files: object) -> list[CaseEvidence]:
        return self.evidence


def stages(suggester: Suggester, *, n_cases: int, start: int) -> dict[str, dict[str, float]]:
    """Return, by stage, CPU milliseconds a case (10 messages, 2 photos of 12 megapixels), its floor and the ratio."""
    scorer = suggester.scorer
    if not isinstance(scorer, EvidenceScorer):
        raise TypeError("only the shipped scorer can be taken apart")
    # What is loaded or asked once, a kind of case, is no stage.
    suggester.suggest(case_files(4, n_photos=2, start=start + 10 * n_cases))
    files = case_files(n_cases, n_photos=2, start=start)
    photos = [data for file in files for data in file.photos.values()]
    opened = [open_photo(data, needed_side=PHOTO_SIDE) for data in photos]
    features = [scorer.image_encoder.encode(photo.image, scale=photo.scale) for photo in opened]
    windows = [window for file in files for window in scorer.chat.windows.cut(conversation(file.case))]
    lengths = [len(window.ids) for window in windows]
    evidence = scorer.score(files)
    without_photos = [CaseFile(file.case, {}) for file in case_files(n_cases, n_photos=2, start=start + n_cases)]

    def decode_alone() -> None:
        for data in photos:
            with Image.open(io.BytesIO(data)) as image:
                longer = max(image.size)
                image.draft("RGB", (image.width * PHOTO_SIDE // longer, image.height * PHOTO_SIDE // longer))
                image.load()

    def decode_as_we_do() -> None:
        for data in photos:
            open_photo(data, needed_side=PHOTO_SIDE)

    decoding = [(cpu_s(decode_alone), cpu_s(decode_as_we_do)) for _ in range(3)]
    mean_length = round(sum(lengths) / len(lengths))
    added = [text_multiply_adds(length, layers=scorer.chat.layers or _WHOLE) for length in lengths]
    by_weights, attention = (sum(each) for each in zip(*added, strict=True))
    attention_rate = gemm_rate(mean_length, _HIDDEN // _HEADS, mean_length, n_times=300)
    image_rate = gemm_rate(28 * 28, 112, 672)
    floors = {
        "decode": min(alone for alone, _ in decoding),
        "image encoder": len(photos) * image_multiply_adds() / image_rate,
        "chat": by_weights / int8_rate(mean_length, _HIDDEN, _FEED_FORWARD) + attention / attention_rate,
    }
    times = {
        "photo digests": cpu_s(lambda: [photo_digest(data) for data in photos]),
        "decode": min(ours for _, ours in decoding),
        "image encoder": cpu_s(lambda: [scorer.image_encoder.encode(p.image, scale=p.scale) for p in opened]),
        "damage": cpu_s(lambda: [scorer.damage.score(found) for found in features]),
        "listing match": cpu_s(
            lambda: [scorer.listing.score([features[i]], [features[i + 1]]) for i in range(0, len(features), 2)]
        ),
        "chat": cpu_s(lambda: scorer.score(without_photos)),
        "ruling and explanation": cpu_s(lambda: suggester.suggest(files, scorer=_Ready(evidence))),
    }
    return {
        name: {
            "ms_per_case": 1000 * seconds / n_cases,
            **(
                {"floor_ms": 1000 * floors[name] / n_cases, "times_floor": seconds / floors[name]}
                if name in floors
                else {}
            ),
        }
        for name, seconds in times.items()
    }
