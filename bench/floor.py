"""The least that decoding and the encoders could cost on this machine, and what each stage costs over it.

The floor of an encoder is its multiply-adds at the rate of this machine's own matrix product on one thread. Photos:
numpy's in float32, in a shape of the middle layers. Chats: in the encoder's own shapes, onnxruntime's in 8 bits for
what is multiplied by weights.
Knows nothing of backlogs or of the service.
"""

import io
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.backlogs import case_files
from models.case_file import CaseFile, photo_digest
from models.encoders import PHOTO_SIDE, TextEncoder
from models.evidence import CaseEvidence
from models.images import open_photo
from models.int8 import OPSET
from models.pretrained import load_image_model
from models.scorer import EvidenceScorer, conversation
from models.suggester import Suggester

_WHOLE = 12
_ROUNDS = 5
_MEASURED_FOR_S = 0.1
_AT_A_TIME = 20
_HIDDEN, _HEADS, _FEED_FORWARD = 384, 12, 1536


def cpu_s(act: Callable[[], object]) -> float:
    """Return the CPU seconds of this process that `act` takes."""
    before = time.process_time()
    act()
    return time.process_time() - before


def gemm_rate(rows: int, inner: int, columns: int, *, for_s: float = _MEASURED_FOR_S) -> float:
    """Return multiply-adds a CPU second of numpy's float32 product of these shapes."""
    rng = np.random.default_rng(0)
    left = rng.normal(size=(rows, inner)).astype(np.float32)
    right = rng.normal(size=(inner, columns)).astype(np.float32)
    return _rate(lambda: left @ right, rows * inner * columns, for_s=for_s)


def int8_rate(rows: int, inner: int, columns: int, *, for_s: float = _MEASURED_FOR_S) -> float:
    """Return multiply-adds a CPU second of onnxruntime's bare 8-bit product of these shapes."""
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
    return _rate(lambda: session.run(None, given), rows * inner * columns, for_s=for_s)


def _rate(act: Callable[[], object], multiply_adds: int, *, for_s: float) -> float:
    """Return multiply-adds a CPU second, measured over `for_s` seconds: about as long as a stage takes."""
    act()
    n_times, spent_s = 0, 0.0
    while spent_s < for_s:
        spent_s += cpu_s(lambda: [act() for _ in range(_AT_A_TIME)])
        n_times += _AT_A_TIME
    return multiply_adds * n_times / spent_s


def text_floor_s(lengths: Sequence[int], *, layers: int) -> float:
    """Return the CPU seconds that the chat encoder's multiply-adds take on windows of these lengths (tokens).

    Products by weights take the 8-bit rate of their shapes, attention numpy's float32 rate, for windows of mean length.
    """
    rows, width = round(sum(lengths) / len(lengths)), _HIDDEN // _HEADS
    by_weights, attention = (
        sum(each) for each in zip(*(text_multiply_adds(length, layers=layers) for length in lengths), strict=True)
    )
    shapes = {(_HIDDEN, _HIDDEN): 4, (_HIDDEN, _FEED_FORWARD): 1, (_FEED_FORWARD, _HIDDEN): 1}
    whole = sum(n * inner * columns for (inner, columns), n in shapes.items())
    shares = {shape: n * shape[0] * shape[1] / whole for shape, n in shapes.items()}
    weights_s = sum(by_weights * share / int8_rate(rows, *shape) for shape, share in shares.items())
    attention_s = attention / 2 * (1 / gemm_rate(rows, width, rows) + 1 / gemm_rate(rows, rows, width))
    return float(weights_s + attention_s)


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


class _Timed(TextEncoder):
    """A text encoder that counts the CPU seconds it takes."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__(encoder.session, encoder.tokenizer, digest=encoder.digest)
        self.spent_s = 0.0

    def token_states(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        states: list[NDArray[np.float32]] = []
        self.spent_s += cpu_s(lambda: states.append(super(_Timed, self).token_states(ids)))
        return states[0]


class _Ready:
    """Evidence scored before."""

    def __init__(self, evidence: list[CaseEvidence]) -> None:
        self.evidence = evidence

    def score(self, files: object) -> list[CaseEvidence]:
        return self.evidence


def stages(suggester: Suggester, *, n_cases: int, start: int) -> dict[str, dict[str, float]]:
    """Return, by stage, CPU milliseconds a case (10 messages, 2 photos of 12 megapixels), its floor and the ratio.

    Each is the median of `_ROUNDS` rounds on cases of their own; a round measures stage and floor next to each other.
    """
    scorer = suggester.scorer
    if not isinstance(scorer, EvidenceScorer):
        raise TypeError("only the shipped scorer can be taken apart")
    # What is loaded or asked once, a kind of case, is no stage.
    suggester.suggest(case_files(4, n_photos=2, start=start + 10 * _ROUNDS * n_cases))
    rounds = [
        _measured(suggester, scorer, n_cases=n_cases, start=start + 2 * number * n_cases) for number in range(_ROUNDS)
    ]
    found: dict[str, dict[str, float]] = {}
    for name in rounds[0][0]:
        found[name] = {"ms_per_case": 1000 * statistics.median(times[name] for times, _ in rounds) / n_cases}
        if name in rounds[0][1]:
            found[name]["floor_ms"] = 1000 * statistics.median(floors[name] for _, floors in rounds) / n_cases
            found[name]["times_floor"] = statistics.median(times[name] / floors[name] for times, floors in rounds)
    return found


def _measured(
    suggester: Suggester, scorer: EvidenceScorer, *, n_cases: int, start: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the CPU seconds of each stage on `n_cases`, and the floors of some."""
    files = case_files(n_cases, n_photos=2, start=start)
    photos = [data for file in files for data in file.photos.values()]
    opened = [open_photo(data, needed_side=PHOTO_SIDE) for data in photos]
    features = [scorer.image_encoder.encode(photo.image, scale=photo.scale) for photo in opened]
    evidence = scorer.score(files)
    without_photos = [CaseFile(file.case, {}) for file in case_files(n_cases, n_photos=2, start=start + n_cases)]
    windows = [window for file in without_photos for window in scorer.chat.windows.cut(conversation(file.case))]
    lengths = [len(window.ids) for window in windows]

    def decode_alone() -> None:
        for data in photos:
            with Image.open(io.BytesIO(data)) as image:
                longer = max(image.size)
                image.draft("RGB", (image.width * PHOTO_SIDE // longer, image.height * PHOTO_SIDE // longer))
                image.load()

    floors, times = {}, {}
    times["photo digests"] = cpu_s(lambda: [photo_digest(data) for data in photos])
    floors["decode"] = cpu_s(decode_alone)
    times["decode"] = cpu_s(lambda: [open_photo(data, needed_side=PHOTO_SIDE) for data in photos])
    floors["image encoder"] = len(photos) * image_multiply_adds() / gemm_rate(28 * 28, 112, 672)
    times["image encoder"] = cpu_s(lambda: [scorer.image_encoder.encode(p.image, scale=p.scale) for p in opened])
    times["damage"] = cpu_s(lambda: [scorer.damage.score(seen) for seen in features])
    pairs = [(features[place], features[place + 1]) for place in range(0, len(features), 2)]
    times["listing match"] = cpu_s(lambda: [scorer.listing.score([shown], [came]) for shown, came in pairs])
    floors["chat encoder"] = text_floor_s(lengths, layers=scorer.chat.layers or _WHOLE)
    encoder, scorer.chat.encoder = scorer.chat.encoder, (timed := _Timed(scorer.chat.encoder))
    whole_chat_s = cpu_s(lambda: scorer.score(without_photos))
    scorer.chat.encoder = encoder
    times["chat encoder"] = timed.spent_s
    times["tokens, phrases, spans"] = whole_chat_s - timed.spent_s
    times["ruling and explanation"] = cpu_s(lambda: suggester.suggest(files, scorer=_Ready(evidence)))
    return times, floors
