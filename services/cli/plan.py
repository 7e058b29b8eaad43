"""`lectern plan MODEL`: will it fit? Against GPUs that are named, or those of this machine as they are now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.output import failing_well, speaker
from services.core.errors import GpuMemoryUnknown
from services.core.i18n import N_
from services.core.units import bytes_text
from services.hub.cards import Card, cards_of, host_of, imagined
from services.hub.model_files import ModelFiles, read_model
from services.hub.plan import plan as plan_memory
from services.hub.plan import tensor_parallel_for
from services.hub.plan_types import DEFAULT_SHARE, MemoryPlan, PlanWish, as_row

MOST_GPUS, MOST_TOKENS = 1024, 1 << 30
MOST_GIB = 1 << 20
Held = tuple[tuple[Card, ...], Card | None]
"""GPUs, and the host for what runs without one."""


def plan(
    model: Annotated[Path, typer.Argument(help="folder, config as .json, or .gguf file", show_default=False)],
    gpus: Annotated[int | None, typer.Option(min=1, max=MOST_GPUS, help="how many GPUs")] = None,
    gpu_memory_gib: Annotated[
        float | None, typer.Option(min=0.01, max=MOST_GIB, help="memory of each, GiB; without it: this machine's now")
    ] = None,
    max_model_len: Annotated[
        int | None, typer.Option(min=1, max=MOST_TOKENS, help="tokens of context; without it: the model's own")
    ] = None,
    gpu_memory_utilization: Annotated[
        float, typer.Option(min=0.01, max=1, help="share of each GPU that vLLM may use")
    ] = DEFAULT_SHARE,
    tensor_parallel_size: Annotated[int | None, typer.Option(min=1, max=MOST_GPUS, help="GPUs per layer")] = None,
    pipeline_parallel_size: Annotated[int, typer.Option(min=1, max=MOST_GPUS, help="stages of layers")] = 1,
    dtype: Annotated[str, typer.Option(help="auto, bfloat16, float16 or float32")] = "auto",
    quantization: Annotated[str | None, typer.Option(help="such as awq, gptq, fp8, bitsandbytes, Q4_K_M")] = None,
    kv_cache_dtype: Annotated[str, typer.Option(help="auto, fp8, bfloat16 …")] = "auto",
    concurrency: Annotated[int, typer.Option(min=1, max=MOST_TOKENS, help="requests of full length at a time")] = 1,
    max_num_seqs: Annotated[int | None, typer.Option(min=1, max=MOST_TOKENS, help="sequences in one step")] = None,
    enforce_eager: Annotated[bool, typer.Option("--enforce-eager", help="no CUDA graphs")] = False,
) -> None:
    """Say whether a model fits into GPU memory, how long its context can be, and what to change."""
    with failing_well():
        files = read_model(model)
        parallel = tensor_parallel_size or _parallel(files, gpus, pipeline_parallel_size)
        wish = PlanWish(
            max_model_len=max_model_len,
            gpu_memory_utilization=gpu_memory_utilization,
            tensor_parallel_size=parallel,
            pipeline_parallel_size=pipeline_parallel_size,
            dtype=dtype,
            quantization=quantization,
            kv_cache_dtype=kv_cache_dtype,
            max_num_seqs=max_num_seqs,
            enforce_eager=enforce_eager,
            concurrency=concurrency,
        )
        cards, host = _memory(files, gpus, gpu_memory_gib, parallel * pipeline_parallel_size)
        found = plan_memory(files, wish, cards, host)
        speaker.emit({"model": files.name, **as_row(found, speaker.say)}, lambda: print_plan(found))


def _parallel(files: ModelFiles, gpus: int | None, stages: int) -> int:
    """Whoever names several GPUs means to use them; without a number vLLM takes one."""
    return tensor_parallel_for(files, gpus // stages) if gpus and not files.gguf else 1


def _memory(files: ModelFiles, gpus: int | None, memory_gib: float | None, wanted: int) -> Held:
    if memory_gib is not None:
        return imagined(gpus or wanted, memory_gib), None
    snapshot = speaker.services().gpus.now()
    found = cards_of(snapshot)
    if gpus is not None and found:
        return tuple(sorted(found, key=lambda card: -card.free_bytes)[:gpus]), None
    host = host_of(snapshot) if files.gguf and gpus is None else None
    if not found and host is None:
        raise GpuMemoryUnknown(wanted_gpus=gpus or wanted, found_gpus=0)
    return found, host


def print_plan(found: MemoryPlan) -> None:
    """A plan for people to read."""
    rule, held = found.rule, found.per_gpu
    speaker.line(
        N_("Rule of thumb: {billions} billion parameters × {bits} bits ÷ 8 = {size}."),
        billions=f"{rule.parameters / 1e9:.2f}",
        bits=f"{rule.bits:g}",
        size=bytes_text(rule.bytes),
    )
    for reason in found.reasons:
        typer.echo(reason.words(speaker.say))
    for suggestion in found.suggestions:
        speaker.line(N_("Try: {suggestion}"), suggestion=suggestion.words(speaker.say))
    typer.echo()
    rows = [
        (N_("weights"), held.weights_bytes),
        (N_("KV cache"), held.kv_bytes),
        (N_("activations"), held.activation_bytes),
        (N_("graphs, buffers, context"), held.overhead_bytes),
        (N_("together"), held.total_bytes),
        (N_("KV cache, at most"), max(0, held.kv_available_bytes)),
    ]
    where = N_("each GPU") if found.place == "gpu" else N_("this machine")
    speaker.table([N_("what"), where], [(speaker.say(name), bytes_text(size)) for name, size in rows])
    speaker.line(
        N_("KV cache: {bytes} for a token, room for {tokens} tokens. Longest context that fits: {longest} tokens."),
        bytes=bytes_text(held.kv_bytes_per_token),
        tokens=found.kv_tokens,
        longest=found.max_model_len_that_fits,
    )
