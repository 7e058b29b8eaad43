"""Lines that say where in its life an engine is: starting, loading, ready, closing. And the numbers that it prints."""

from __future__ import annotations

import re
from collections.abc import Iterator

START = (
    ("version", re.compile(r"█.*\bversion \d")),
    ("vllm api server version", re.compile(r"vllm api server version", re.IGNORECASE)),
    ("build", re.compile(r"^(?:main: )?(?:build(?:_info)?)\s*[:=] (?:b?\d+ ?[(-]|b\d)")),
    ("server config", re.compile(r"\bserver config\"? +env=", re.IGNORECASE)),
)
"""The first line of a run: whatever stood before belongs to an earlier one."""
START_AGAIN = ("started server process", "starting vllm server", "starting ollama", "initializing an llm engine")
"""Begins a run only where the one before has ended."""
READY = (
    "application startup complete",
    "uvicorn running on",
    "starting the main loop",
    "all slots are idle",
    "main: model loaded",
    'msg="listening on',
    "llama runner started in",
)
SERVING = re.compile(
    r'"post /(?:v1|api|inference|pooling|rerank|completion)\S* http/[\d.]+" 200|avg prompt throughput: (?!0\.0 tok)'
    r'|\| 200 \|.*post +"/(?:v1|api)/(?:chat|gen|emb)'
)
"""A server that answers has become ready, even where that line is not in the part that was read."""
SERVING_NEEDLES = ('http/1.1" 200', "avg prompt throughput", "| 200 |")
CLOSING = (
    "shutdown triggered",
    "shutting down fastapi",
    "waiting for application shutdown",
    "received sigterm",
    "sigterm received",
    "received signal 15",
    "cleaning up before exit",
    "shutting down server",
    "received sigint",
)
STAGES = (
    ("capturing cuda graph", "graphs"),
    ("capturing the model", "graphs"),
    ("gpu kv cache size", "cache"),
    ("# gpu blocks", "cache"),
    ("available kv cache memory", "cache"),
    ("model loading took", "profile"),
    ("loading model weights took", "profile"),
    ("loading weights took", "weights"),
    ("starting to load model", "weights"),
    ("loading safetensors", "weights"),
    ("loading pt checkpoint", "weights"),
)
_FIGURES = (
    ("gpu_memory_utilization (", re.compile(r"(?P<gpu_memory_utilization>(?<=gpu_memory_utilization \()[\d.]+)")),
    ("total_gpu_memory", re.compile(r"total_gpu_memory \((?P<total_gib>[\d.]+)")),
    ("available kv cache memory", re.compile(r"available kv cache memory: (?P<available_gib>-?[\d.]+)")),
    ("offloaded", re.compile(r"offloaded (?P<layers_on_gpu>\d+)/\d+ layers")),
    ("n_ctx ", re.compile(r"\bn_ctx\s*= (?P<n_ctx>\d+)")),
)
_OPTION_LINES = ("non-default args", "args: namespace(", "llm engine (v", "llm engine with config")
_OPTION = re.compile(r"['\"]?\b(\w+)['\"]?(?:: |=)(?:['\"]([^'\"]*)['\"]|([\w./-]+))")
_OPTIONS = {
    *("model", "model_tag", "port", "dtype", "quantization", "kv_cache_dtype", "max_model_len", "max_num_seqs"),
    *("tensor_parallel_size", "pipeline_parallel_size", "gpu_memory_utilization", "max_num_batched_tokens"),
}
NEEDLES = (
    *("version", "build", "server config", "error", "exception", "traceback (most recent", "fatal", "panic"),
    *("terminate called", "abort", "exited with", *START_AGAIN, *READY, *CLOSING, "shutting down", *_OPTION_LINES),
    *(needle for needle, _ in (*STAGES, *_FIGURES)),
)
"""A line without any of these and without a sign of a cause is not looked at."""


def begins(text: str, low: str) -> bool:
    """Whether a run begins here."""
    return any(needle in low and pattern.search(text) for needle, pattern in START)


def begins_again(low: str) -> bool:
    """Whether a run begins here, if the one before has ended."""
    return any(mark in low for mark in START_AGAIN)


def is_ready(low: str) -> bool:
    """Whether the engine says that it is ready."""
    return any(mark in low for mark in READY)


def is_serving(low: str) -> bool:
    """Whether the engine has just answered somebody."""
    return any(needle in low for needle in SERVING_NEEDLES) and SERVING.search(low) is not None


def is_closing(low: str) -> bool:
    """Whether the engine was asked to end."""
    return low.strip() == "shutting down" or any(mark in low for mark in CLOSING)


def stage(low: str) -> str | None:
    """Which part of the start this line belongs to."""
    return next((name for needle, name in STAGES if needle in low), None)


def figures(low: str) -> Iterator[tuple[str, float]]:
    """Numbers that the engine prints of itself."""
    for needle, pattern in _FIGURES:
        if needle in low and (match := pattern.search(low)):
            yield from ((name, float(value)) for name, value in match.groupdict().items())


def options(text: str, low: str) -> dict[str, str]:
    """The launch options that the engine repeats in its log."""
    if not any(needle in low for needle in _OPTION_LINES):
        return {}
    return {
        name: quoted or bare for name, quoted, bare in _OPTION.findall(text) if name in _OPTIONS and (quoted or bare)
    }
