"""The memory plan against what engines have printed: a CSV of published starts, and the configs of their models.

    python bench/vram_points.py --points FILE --configs DIR

The baseline is what stands in the CSV. A row is scored where a config of its model is there (base = instruct), or of
one that its model card says it has the shape of; the two are counted apart. Nothing is fitted to the rows.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.core.units import GIB
from services.hub.cards import Card
from services.hub.model_files import ModelFiles, read_model
from services.hub.plan import plan
from services.hub.plan_types import MemoryPlan, PlanWish
from services.hub.vllm_memory import kv_available, share_of

KV_LIMIT, WEIGHTS_LIMIT, ARITHMETIC_GIB = 0.01, 0.03, 0.02
UNKNOWN_GIB = 80.0
"""Stands for a GPU that a row does not tell; neither weights nor bytes of a token depend on it."""
SAME_SHAPE = {
    "qwen3-reranker-8b": "qwen3-8b",
    "qwen3-coder-30b-a3b": "qwen3-30b-a3b",
    "deepseek-r1-distill-qwen-7b": "qwen2.5-7b",
    "deepseek-r1-distill-qwen-14b": "qwen2.5-14b",
    "mistral-7b": "mistral-7b-v0.1",
    "llama-3.1-70b": "llama-3-70b",
    "llama.cpp llama-3-70b": "llama-3-70b",
}
"""Models that were made from another one without a change of its shape, as their cards say."""
_FOREIGN = re.compile(r"[-. ](quantized\.w8a8|awq|fp8|gptq-int4|gguf|int4)$")


@dataclass
class Score:
    """One figure: how many rows were right, and what is said of each row."""

    title: str
    right: int = 0
    lines: list[str] = field(default_factory=list)

    def add(self, row: Row, good: bool, text: str) -> None:
        """Count a row."""
        self.right += good
        self.lines.append(f"  {'ok  ' if good else 'MISS'} {row.id} {row.model}: {text}")

    def show(self, *, everything: bool) -> None:
        """Print the figure and its misses."""
        share = f"{100 * self.right / len(self.lines):.0f} %" if self.lines else "no rows"
        print(f"{self.title}: {self.right} of {len(self.lines)} ({share})")
        for line in self.lines:
            if everything or "MISS" in line[:6]:
                print(line)


class Row:
    """One line of the CSV, and the plan for it."""

    def __init__(self, fields: dict[str, str], configs: dict[str, ModelFiles]) -> None:
        self.fields = fields
        self.id, self.model = fields["id"], fields["model"]
        key = base_name(self.model)
        self.by_name = key in configs
        self.files = configs.get(key) or configs.get(SAME_SHAPE.get(key, ""))

    def value(self, name: str) -> float | None:
        """A number of the row; None where there is none (a comma in a remark may have moved words there)."""
        try:
            return float(self.fields[name])
        except ValueError:
            return None

    def plan(self) -> MemoryPlan:
        """What Lectern says of this start."""
        assert self.files is not None
        total = int((self.value("gpu_total_gib") or UNKNOWN_GIB) * GIB)
        tensor, stages = int(self.value("tp") or 1), int(self.value("pp") or 1)
        length = self.value("max_model_len")
        wish = PlanWish(
            max_model_len=int(length) if length else None,
            gpu_memory_utilization=self.value("gpu_memory_utilization") or 0.9,
            tensor_parallel_size=tensor,
            pipeline_parallel_size=stages,
            dtype=self.fields["dtype"] or "auto",
            quantization=self.fields["quant"] or None,
            kv_cache_dtype=self.fields["kv_dtype"] or "auto",
        )
        cards = [Card(total, total, index, self.fields["gpu"]) for index in range(tensor * stages)]
        return plan(self.files, wish, cards)

    def printed_token_bytes(self) -> float | None:
        """Bytes of a token from what the engine itself printed: its cache, and the tokens in it."""
        cache, tokens = self.value("kv_cache_gib_per_gpu"), self.value("kv_cache_tokens")
        times, length = self.value("max_concurrency_x"), self.value("max_model_len")
        if not tokens and times and length:
            tokens = times * length
        return cache * GIB / tokens if cache and cache > 0 and tokens else None


def base_name(model: str) -> str:
    """A model's name without owner, remarks, tuning and quantisation."""
    name = re.sub(r"\s*\(.*", "", model).lower().rsplit("/", maxsplit=1)[-1]
    while _FOREIGN.search(name):
        name = _FOREIGN.sub("", name)
    return re.sub(r"-(instruct|chat|it)\b", "", name).removeprefix("meta-")


def kv_per_token(rows: list[Row], measured: Callable[[Row], float | None], title: str) -> Score:
    """Planned bytes of a token against another source of them."""
    score = Score(title)
    for row in rows:
        truth = measured(row)
        if truth:
            planned = row.plan().per_gpu.kv_bytes_per_token
            off = planned / truth - 1
            score.add(row, abs(off) <= KV_LIMIT, f"{planned} planned, {truth:.0f} there ({off:+.2%})")
    return score


def weights(rows: list[Row]) -> Score:
    """Planned weights of unquantised models against what the engine printed."""
    score = Score("weights within 3 %, unquantised")
    for row in rows:
        truth = row.value("weights_gib_per_gpu")
        if truth and not row.fields["quant"]:
            planned = row.plan().per_gpu.weights_bytes / GIB
            off = planned / truth - 1
            score.add(row, abs(off) <= WEIGHTS_LIMIT, f"{planned:.2f} GiB planned, {truth:.2f} printed ({off:+.2%})")
    return score


def outcomes(rows: list[Row], *, failing: bool) -> Score:
    """Whether starts on a known GPU are foretold."""
    score = Score("failures foretold (GPU memory known)" if failing else "starts foretold (GPU memory known)")
    for row in rows:
        if row.fields["outcome"].startswith("FAIL") == failing and row.value("gpu_total_gib"):
            found = row.plan()
            code = found.reasons[0].code
            longest = f"longest that fits {found.max_model_len_that_fits}"
            score.add(row, found.fits != failing, f"{code}, {longest}; printed: {row.fields['outcome']}")
    return score


def needs(rows: list[Row]) -> Score:
    """The cache of one request of full length, where an engine has printed what it needs."""
    score = Score("cache of one request within 1 %")
    for row in rows:
        said = re.search(r"needs ([\d.]+) GiB", row.fields["outcome"])
        if said:
            planned, truth = row.plan().per_gpu.kv_bytes / GIB, float(said[1])
            score.add(row, abs(planned / truth - 1) <= KV_LIMIT, f"{planned:.3f} GiB planned, {truth} printed")
    return score


def arithmetic(rows: list[Row]) -> Score:
    """What is left for the cache, from the parts that the engine printed."""
    score = Score("available KV cache from the printed parts, within 0.02 GiB")
    names = ("weights_gib_per_gpu", "activation_peak_gib", "non_torch_gib", "kv_cache_gib_per_gpu")
    for row in rows:
        total, share = row.value("gpu_total_gib"), row.value("gpu_memory_utilization")
        parts = [row.value(name) for name in names]
        if total and share and None not in parts:
            held, activation, outside, truth = (part or 0.0 for part in parts)
            whole = share_of(Card(int(total * GIB), 0), share)
            left = kv_available(whole, int(held * GIB), int(activation * GIB), int(outside * GIB)) / GIB
            score.add(row, abs(left - truth) <= ARITHMETIC_GIB, f"{left:.2f} GiB computed, {truth:.2f} printed")
    return score


def estimates(rows: list[Row]) -> None:
    """Print the whole estimate beside what was printed: not scored, for what no shape tells is in it."""
    print("whole estimate of the cache that is left (not scored):")
    for row in rows:
        total, truth = row.value("gpu_total_gib"), row.value("kv_cache_gib_per_gpu")
        if total and truth is not None:
            held = row.plan().per_gpu
            planned, working = held.kv_available_bytes / GIB, held.activation_bytes / GIB
            said = row.fields["activation_peak_gib"] or "n/a"
            print(f"  {row.id} {planned:6.2f} GiB, printed {truth:6.2f}; activations {working:.2f}, printed {said}")


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=Path)
    parser.add_argument("--configs", type=Path)
    parser.add_argument("--all", action="store_true", help="print the rows that are right as well")
    options = parser.parse_args()
    if not options.points or not options.configs:
        print("nothing to score: give --points FILE and --configs DIR")
        return
    configs = {base_name(path.stem): read_model(path) for path in sorted(options.configs.glob("*.json"))}
    with options.points.open(encoding="utf-8", newline="") as file:
        rows = [Row(fields, configs) for fields in csv.DictReader(file)]
    scored = [row for row in rows if row.files]
    named = [row for row in scored if row.by_name]
    groups = (("config of the same name", named), ("and models of the same shape", scored))
    for title, group in groups:
        print(f"== {title}: {len(group)} of {len(rows)} rows")
        figures = [
            kv_per_token(group, Row.printed_token_bytes, "KV bytes per token within 1 % of printed cache / tokens"),
            kv_per_token(
                group,
                lambda row: row.value("kv_bytes_per_token_per_gpu"),
                "KV bytes per token within 1 % of the column",
            ),
            weights(group),
            outcomes(group, failing=True),
            outcomes(group, failing=False),
            needs(group),
        ]
        for figure in figures:
            figure.show(everything=options.all)
    print("== all rows that print the parts")
    arithmetic(rows).show(everything=options.all)
    estimates(scored)
    print("== unscored, without a config: " + ", ".join(f"{row.id} {row.model}" for row in rows if not row.files))


if __name__ == "__main__":
    main()
