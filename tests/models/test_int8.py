"""Products in 8 bits stay near, and each row is its own."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.int8 import OPSET, to_int8, weight_range

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(64, 32)).astype(np.float32)


def product(weights: NDArray[np.float32] = WEIGHTS, *, activated: bool = False) -> Any:
    """Return a model that multiplies rows (their GELU) by constant weights and the result by itself."""
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, ["rows", weights.shape[0]])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, ["rows", "rows"])
    nodes = [
        helper.make_node("Gelu" if activated else "Identity", ["state"], ["given"]),
        helper.make_node("MatMul", ["given", "weights"], ["mixed"]),
        helper.make_node("Transpose", ["mixed"], ["turned"]),
        helper.make_node("MatMul", ["mixed", "turned"], ["result"]),
    ]
    graph = helper.make_graph(nodes, "product", [state], [result], [numpy_helper.from_array(weights, "weights")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def run(model: Any, state: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["result"], {"state": state})[0])


@pytest.mark.parametrize(("activated", "shift"), [(False, 0.0), (True, 0.0), (True, -1.5)])
def test_products_in_8_bits_are_near_those_in_32(activated: bool, shift: float) -> None:
    state = (RNG.normal(size=(20, 64)) + shift).astype(np.float32)
    expected = run(product(activated=activated), state)
    error = np.abs(run(to_int8(product(activated=activated), most=weight_range()), state) - expected).max()
    assert 0 < error < 0.03 * np.abs(expected).max()


def test_a_row_a_thousand_times_larger_leaves_the_others_as_they_are() -> None:
    model = to_int8(product(), most=weight_range())
    state = RNG.normal(size=(6, 64)).astype(np.float32)
    beside = np.concatenate([state, 1_000 * state[:1]])
    np.testing.assert_array_equal(run(model, beside)[:6, :6], run(model, state))


def test_a_row_of_zeros_stays_zero() -> None:
    state = np.zeros((2, 64), np.float32)
    np.testing.assert_array_equal(run(to_int8(product(), most=weight_range()), state), np.zeros((2, 2)))


@pytest.mark.parametrize("most", [127, 64])
def test_only_products_by_constant_weights_are_replaced(most: int) -> None:
    model = to_int8(product(), most=most)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("MatMul") == 1
    assert kinds.count("MatMulIntegerToFloat") == 1
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert "weights" not in weights
    assert np.abs(weights["weights.int8"].astype(int)).max() == most
    onnx.checker.check_model(onnx.load_from_string(model.SerializeToString()), full_check=False)
