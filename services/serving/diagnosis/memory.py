"""Causes: memory of the GPUs. vLLM's own advice is contradicted where others hold the memory."""

from __future__ import annotations

import math

from services.core.i18n import N_
from services.serving.diagnosis.causes import Advice, Cause, Flags, Found, Params, Sign

GIB = 1 << 30
MARGIN = 0.02
"""Share of a GPU that is left alone when a value for gpu_memory_utilization is worked out."""
BLOCK = 16
"""Tokens in a block of the KV cache."""
HIGHEST = 0.95
DEFAULT_SHARE = 0.9
_STAGES = (
    ("graphs", {"capture_model", "_capture_cudagraphs", "capture", "capture_graph"}),
    ("sampler", {"_dummy_sampler_run"}),
    ("cache", {"initialize_kv_cache", "_allocate_kv_cache_tensors", "initialize_cache", "_allocate_kv_cache"}),
    ("profile", {"profile_run", "determine_available_memory", "determine_num_available_blocks"}),
    ("weights", {"load_model", "load_weights", "create_weights", "initialize_model", "_initialize_model"}),
    ("running", {"execute_model", "generate"}),
)
"""Which functions of a traceback belong to which part of a start, what is done last first."""
_STAGE_CODES = {
    "graphs": "cuda_graphs_out_of_memory",
    "sampler": "warm_up_out_of_memory",
    "cache": "kv_cache_out_of_memory",
    "profile": "activations_out_of_memory",
    "weights": "weights_do_not_fit",
}
_TOO_FULL = {
    "llama.cpp": "gguf_gpu_out_of_memory",
    "ollama": "gguf_gpu_out_of_memory",
    "transformers": "torch_out_of_gpu_memory",
    "embeddings": "torch_out_of_gpu_memory",
}
"""Engines that have no gpu_memory_utilization, and what a full GPU is called there."""
_FITS = r"estimated maximum model length is (?P<fits>\d+)"


def _share(value: float) -> str | None:
    """A value for gpu_memory_utilization, rounded down; None where it is too small to be of use."""
    rounded = math.floor(value * 100 + 1e-9) / 100
    return f"{rounded:.2f}" if rounded >= 0.1 else None


def _fits(found: Found) -> Advice:
    """The context length that fits: printed by the engine, or worked out from what is needed and what is there."""
    fits, asked = found.whole("fits"), found.whole("asked")
    needed, available = found.number("needed"), found.number("available")
    if fits is None and asked and needed and available is not None:
        fits = max(int(asked * available / needed * (1 - MARGIN)) // BLOCK * BLOCK, 0)
    if not fits or fits < BLOCK:
        return Advice()
    params: Params = {"fits": fits}
    if asked is None and (known := found.options.get("max_model_len")):
        params["asked"] = known
    return Advice(params, {"--max-model-len": str(fits)})


def _limit(found: Found) -> Advice:
    limit = found.whole("limit")
    return Advice({"limit": limit}, {"--max-model-len": str(limit)}) if limit else Advice()


def _busy(found: Found) -> Advice:
    free, total = found.number("free"), found.number("total")
    value = _share(free / total - MARGIN) if free is not None and total else None
    return Advice({"advised": value}, {"--gpu-memory-utilization": value}) if value else Advice()


def _no_blocks(found: Found) -> Advice:
    """Raise the share only where nobody else holds what would be needed; vLLM always says to raise it."""
    context, share = found.context, found.number("gpu_memory_utilization") or DEFAULT_SHARE
    total = context.gpu_total_bytes or int((found.number("total_gib") or 0) * GIB)
    if context.gpu_free_bytes is not None and total and total - context.gpu_free_bytes > MARGIN * total:
        params: Params = {"others": f"{(total - context.gpu_free_bytes) / GIB:.1f}"}
        highest = context.gpu_free_bytes / total - MARGIN
    else:
        params, highest = {}, HIGHEST
    short = -(found.number("available_gib") or 0) + 1
    needed = share + short * GIB / total if total else share + 0.05
    value = _share(min(needed, highest)) if needed <= highest + MARGIN and highest > share else None
    if value:
        return Advice({**params, "advised": value}, {"--gpu-memory-utilization": value})
    seats = found.whole("max_num_seqs") or 256
    return Advice(params, {"--max-num-seqs": str(max(seats // 4, 1)), "--max-num-batched-tokens": "2048"})


def _stage(found: Found) -> str:
    for name in reversed(found.functions):
        for stage, functions in _STAGES:
            if name in functions:
                return stage
    return found.stage


def _out_of_memory(found: Found) -> Advice:
    """Say in which part of the start the memory ended, and what that part takes."""
    params = _sizes(found)
    share = found.number("gpu_memory_utilization") or DEFAULT_SHARE
    lower = _share(share - 0.05)
    flags: dict[str, Flags] = {
        "graphs": {"--gpu-memory-utilization": lower, "--enforce-eager": None},
        "sampler": {"--max-num-seqs": str(max((found.whole("seats") or found.whole("max_num_seqs") or 256) // 2, 1))},
        "cache": {"--gpu-memory-utilization": lower},
        "profile": {"--max-num-batched-tokens": "2048"},
        "weights": _more_gpus(found),
    }
    stage = "sampler" if "seats" in params else _stage(found)
    advised = {key: value for key, value in flags.get(stage, {}).items() if value or key == "--enforce-eager"}
    if found.engine in ("", "vllm"):
        return Advice(params, advised, _STAGE_CODES.get(stage))
    return Advice(params, {}, _TOO_FULL.get(found.engine))


def _sizes(found: Found) -> Params:
    """Sizes of an out-of-memory line of any version of torch."""
    return {key: value.strip() for key, value in found.params.items()}


def _more_gpus(found: Found) -> Flags:
    now = found.whole("tensor_parallel_size") or 1
    there = found.context.gpu_count
    return {"--tensor-parallel-size": str(now * 2)} if there and there >= now * 2 else {}


def _larger_batch(found: Found) -> Advice:
    return Advice(flags={"--max-num-batched-tokens": str(found.params["asked"])})


_OOM_REMEDY = (N_("Lower gpu_memory_utilization a little, or see on the GPUs page who else holds memory there."),)
_OOM_CAUSE = N_("The GPU ran out of memory: {tried} more were asked for, {free} of {total} were free.")

CAUSES = (
    Cause(
        "kv_cache_none",
        (
            N_(
                "Weights and working memory fill the share of the GPU that vLLM may use, while other programs "
                "hold {others} GiB of it: nothing is left for the KV cache."
            ),
            N_(
                "Weights and working memory fill the share of the GPU that vLLM may use: nothing is left for "
                "the KV cache."
            ),
        ),
        (
            N_(
                "Raising gpu_memory_utilization, as vLLM advises, does not help beyond what the others leave "
                "free: end them, use another GPU or a smaller (quantised) model, or lower max_num_seqs."
            ),
            N_(
                "Raise gpu_memory_utilization to {advised}, if nobody else needs the GPU; else use a smaller or "
                "quantised model or more GPUs."
            ),
            N_(
                "Use a smaller or quantised model or more GPUs, or lower max_num_seqs. Raising "
                "gpu_memory_utilization, as vLLM advises, only helps if no other program holds the memory."
            ),
        ),
        (
            Sign("no available memory for the cache blocks"),
            Sign("available memory", r"no available (?:gpu )?memory for (?:the )?(?:kv.?)?cache"),
        ),
        advise=_no_blocks,
    ),
    Cause(
        "max_model_len_does_not_fit",
        (
            N_(
                "A context of {asked} tokens does not fit into the memory that is left for the KV cache; {fits} "
                "tokens do."
            ),
            N_("The chosen context does not fit into the memory that is left for the KV cache; {fits} tokens do."),
            N_("The chosen context does not fit into the memory that is left for the KV cache."),
        ),
        (
            N_("Set max_model_len to {fits} or less. More fits with an fp8 KV cache, a quantised model or more GPUs."),
            N_("Lower max_model_len, or use an fp8 KV cache, a quantised model or more GPUs."),
        ),
        (
            Sign(
                "stored in",
                r"max seq len \((?P<asked>\d+)\) is larger than the maximum number of tokens that can be stored in"
                r" (?:the )?kv.?cache \((?P<fits>\d+)\)",
            ),
            Sign(
                "kv cache is needed",
                r"max seq len \((?P<asked>\d+)\)\W+(?P<needed>[\d.]+) ?Gi?B kv cache is needed.{0,60}?"
                r"\((?P<available>-?[\d.]+) ?Gi?B\)(?:.{0,60}?" + _FITS + ")?",
            ),
            Sign("estimated maximum model length", _FITS),
            Sign("stored in", r"stored in (?:the )?kv.?cache \((?P<fits>\d+)"),
        ),
        advise=_fits,
    ),
    Cause(
        "max_model_len_beyond_model",
        (
            N_("A context of {asked} tokens was asked for, but the model was made for {limit}."),
            N_("A longer context was asked for than the model was made for."),
        ),
        (
            N_("Set max_model_len to {limit} or less. vLLM's switch to override this limit gives nonsense or crashes."),
            N_("Lower max_model_len to what the model's config.json allows."),
        ),
        (
            Sign(
                "max_model_len",
                r"max_model_len \(?(?P<asked>\d+)\)? is greater than the derived max_model_len(?: none)?"
                r"(?: ?\((?:[\w.]+=)?(?P<limit>\d+))?",
            ),
        ),
        advise=_limit,
    ),
    Cause(
        "gpu_memory_held_by_others",
        (
            N_(
                "Only {free} of {total} GiB of the GPU are free, but gpu_memory_utilization {share} asks for "
                "{needed} GiB: other programs hold the rest."
            ),
            N_("Less of the GPU is free than gpu_memory_utilization asks for: other programs hold the rest."),
        ),
        (
            N_("Lower gpu_memory_utilization to {advised}, or end the other programs that hold memory on this GPU."),
            N_("End the other programs that hold memory on this GPU, or use another GPU."),
        ),
        (
            Sign(
                "desired",
                r"(?:free|available) memory on (?:device|node) ?(?:\S+ )?\((?P<free>[\d.]+) ?/"
                r" ?(?P<total>[\d.]+) ?Gi?B\) on"
                r" startup is less than desired \w+ memory utilization \((?P<share>[\d.]+), (?P<needed>[\d.]+) ?Gi?B\)",
            ),
            Sign("less than desired gpu memory utilization"),
        ),
        advise=_busy,
    ),
    Cause(
        "memory_profiling_disturbed",
        (
            N_(
                "While vLLM measured the GPU, another program gave memory back ({before} GiB were free, then "
                "{after}), so its reckoning was wrong."
            ),
            N_("While vLLM measured the GPU, the memory of another program changed, so its reckoning was wrong."),
        ),
        (
            N_(
                "Start it again once the other program has settled; servers that share a GPU should start one "
                "after another."
            ),
        ),
        (
            Sign(
                "error in memory profiling",
                r"error in memory profiling(?:.*?initial free memory (?P<before>[\d.]+)(?: ?Gi?B)?,"
                r" current free memory (?P<after>[\d.]+))?",
            ),
        ),
    ),
    Cause(
        "out_of_gpu_memory",
        (_OOM_CAUSE, N_("The GPU ran out of memory.")),
        (*_OOM_REMEDY,),
        (
            Sign("out of memory", r"out of memory occurr?ed when warming up sampler with (?P<seats>\d+)"),
            Sign(
                "out of memory",
                r"out of memory\. tried to allocate (?P<tried>[\d.]+ [KMGT]i?B).{0,40}?(?:has a total capac\w+ of|;)"
                r" ?(?P<total>[\d.]+ [KMGT]i?B).*?(?P<free>[\d.]+ [KMGT]i?B) (?:is )?free",
            ),
            Sign(
                "out of memory",
                r"(?:CUDA|HIP|XPU|torch)\w*[ .:].{0,40}out of memory(?:\. tried to allocate"
                r" (?P<tried>[\d.]+ [KMGT]i?B))?",
            ),
            Sign("outofmemoryerror", r"(?:torch\S*|cuda)\.OutOfMemoryError"),
        ),
        advise=_out_of_memory,
    ),
    Cause(
        "torch_out_of_gpu_memory",
        (_OOM_CAUSE, N_("The GPU ran out of memory.")),
        (
            N_(
                "See on the GPUs page who else holds memory there, or give the server another GPU (gpus). A smaller "
                "or quantised model needs less."
            ),
        ),
    ),
    Cause(
        "weights_do_not_fit",
        (
            N_("The model's weights do not fit on the GPU: {tried} more were asked for, {free} of {total} were free."),
            N_("The model's weights do not fit on the GPU."),
        ),
        (
            N_(
                "Use a quantised or smaller model, spread it over more GPUs (tensor_parallel_size), or free the "
                "GPU first."
            ),
        ),
    ),
    Cause(
        "activations_out_of_memory",
        (
            N_("The weights fit, but the trial run did not: {tried} more were asked for, {free} of {total} were free."),
            N_("The weights fit, but the trial run of the model did not."),
        ),
        (N_("Lower max_num_batched_tokens or max_num_seqs, or use a quantised or smaller model or more GPUs."),),
    ),
    Cause(
        "kv_cache_out_of_memory",
        (
            N_("The KV cache could not be reserved: {tried} more were asked for, {free} of {total} were free."),
            N_("The KV cache could not be reserved on the GPU."),
        ),
        (N_("Lower gpu_memory_utilization: another program took memory meanwhile, or vLLM reckoned with too much."),),
    ),
    Cause(
        "cuda_graphs_out_of_memory",
        (
            N_(
                "Recording CUDA graphs took more memory than was left: {tried} more were asked for, {free} of "
                "{total} were free."
            ),
            N_("Recording CUDA graphs took more memory than was left."),
        ),
        (
            N_(
                "Lower gpu_memory_utilization so that room is left for the graphs, or do without them "
                "(enforce_eager, somewhat slower)."
            ),
        ),
    ),
    Cause(
        "warm_up_out_of_memory",
        (
            N_("Trying {seats} requests at a time took more memory than was left."),
            N_("Trying as many requests at a time as were asked for took more memory than was left."),
        ),
        (N_("Lower max_num_seqs, or gpu_memory_utilization."),),
    ),
    Cause(
        "batch_smaller_than_context",
        (N_("max_num_batched_tokens ({batch}) is smaller than the context of {asked} tokens."),),
        (N_("Set max_num_batched_tokens to {asked}, or lower max_model_len to {batch}."),),
        (
            Sign(
                "max_num_batched_tokens",
                r"max_num_batched_tokens \((?P<batch>\d+)\) is smaller than max_model_len \((?P<asked>\d+)\)",
            ),
        ),
        advise=_larger_batch,
    ),
)
