"""Matrix products in 8 bits inside an ONNX graph, such that no row of a batch moves another.

Every product of a state with constant weights is replaced. A token's state is divided by its own largest magnitude
(dynamic quantisation as libraries do it takes one scale for the whole batch), a column of weights by its own. Whatever
else is multiplied (attention) stays in float32. Knows nothing of what a graph computes.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

OPSET = 20
_FULL = 127
# Without 8-bit dot products x86 adds pairs of products in 16 bits, which full-range weights overflow.
_HALF = 64
_MIDDLE = 128
# GELU never goes further below zero, so its largest value, at least this, is its largest magnitude.
_GELU_DEPTH = 0.17


@cache
def weight_range() -> int:
    """Return the largest 8-bit weight whose products this processor adds up without overflow."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return _HALF
    is_x86 = "\nflags" in told
    return _FULL if not is_x86 or any(flag in told.split() for flag in ("avx512_vnni", "avx_vnni")) else _HALF


def to_int8(model: "onnx.ModelProto", *, most: int) -> "onnx.ModelProto":
    """Return the model with its products by constant weights in 8 bits; opset 18 or later.

    most : the largest magnitude of an 8-bit weight, as `weight_range` gives it
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    shared = {
        "int8.middle": np.array(_MIDDLE, np.uint8),
        "int8.one": np.array(1, np.float32),
        "int8.step": np.array(1 / _FULL, np.float32),
        "int8.tiny": np.array(1e-12, np.float32),
        "int8.depth": np.array(_GELU_DEPTH / _FULL, np.float32),
        "int8.last": np.array([-1], np.int64),
    }
    gelus = {output for node in graph.node if node.op_type == "Gelu" for output in node.output}
    made: list[Any] = []
    scaled: set[str] = set()
    replaced: dict[str, dict[str, Any]] = {}
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in constants:
            made.append(node)
            continue
        state, weights = node.input
        if weights not in replaced:
            replaced[weights] = _columns(numpy_helper.to_array(constants[weights]), most=most)
        if state not in scaled:
            shared[f"{state}.flat"] = np.array([-1, len(replaced[weights]["int8"])], np.int64)
            made += _scaling(state, is_gelu=state in gelus)
            scaled.add(state)
        inputs = [f"{state}.int8", f"{weights}.int8", "int8.one", f"{weights}.scale", "int8.middle"]
        product = f"{node.output[0]}.int8"
        made.append(helper.make_node("MatMulIntegerToFloat", inputs, [product], domain="com.microsoft"))
        made.append(helper.make_node("Mul", [product, f"{state}.scale"], list(node.output)))
    for weights, arrays in replaced.items():
        shared |= {f"{weights}.{kind}": array for kind, array in arrays.items()}
    kept = [tensor for tensor in graph.initializer if tensor.name not in replaced]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(made)
    graph.initializer.extend([*kept, *(numpy_helper.from_array(array, name) for name, array in shared.items())])
    return model


def _scaling(state: str, *, is_gelu: bool) -> list[Any]:
    """Return the nodes that make `state.scale`, a number a row, and `state.int8`, the row divided by it."""
    from onnx import TensorProto, helper

    magnitude, least = (state, "int8.depth") if is_gelu else (f"{state}.abs", "int8.tiny")
    middle = helper.make_tensor("middle", TensorProto.UINT8, [1], [_MIDDLE])
    return [
        *([] if is_gelu else [helper.make_node("Abs", [state], [magnitude])]),
        helper.make_node("ReduceMax", [magnitude, "int8.last"], [f"{state}.max"], keepdims=1),
        helper.make_node("Mul", [f"{state}.max", "int8.step"], [f"{state}.steps"]),
        helper.make_node("Max", [f"{state}.steps", least], [f"{state}.scale"]),
        helper.make_node("Reshape", [f"{state}.scale", "int8.last"], [f"{state}.scales"]),
        helper.make_node("Shape", [f"{state}.scales"], [f"{state}.n_rows"]),
        helper.make_node("ConstantOfShape", [f"{state}.n_rows"], [f"{state}.middles"], value=middle),
        helper.make_node("Reshape", [state, f"{state}.flat"], [f"{state}.rows"]),
        helper.make_node(
            "QuantizeLinear", [f"{state}.rows", f"{state}.scales", f"{state}.middles"], [f"{state}.rows8"], axis=0
        ),
        helper.make_node("Shape", [state], [f"{state}.shape"]),
        helper.make_node("Reshape", [f"{state}.rows8", f"{state}.shape"], [f"{state}.int8"]),
    ]


def _columns(weights: np.ndarray[Any, Any], *, most: int) -> dict[str, np.ndarray[Any, Any]]:
    """Return "int8", shape (n_in, n_out), and "scale", shape (n_out,), whose product is nearly the weights."""
    scale = np.maximum(np.abs(weights).max(axis=0) / most, 1e-12).astype(np.float32)
    return {"int8": np.round(weights / scale).clip(-most, most).astype(np.int8), "scale": scale}
