"""Causes: llama.cpp and Ollama, which is built on it."""

from __future__ import annotations

from services.core.i18n import N_
from services.serving.diagnosis.causes import CONSEQUENCE, LIKELY, NOTICE, Advice, Cause, Found, Params, Sign

_POINTER = "vers"
"""How a Git LFS pointer begins: "version https://git-lfs…"."""
SHORTEST = 512
FOR_OLLAMA = N_(
    "Shorten the context (`{ollama}`), store it in 8 bits (`OLLAMA_KV_CACHE_TYPE=q8_0`, `OLLAMA_FLASH_ATTENTION=1`), "
    "keep one model loaded at a time (`OLLAMA_MAX_LOADED_MODELS=1`), or use a smaller quantisation."
)


def _fewer_layers(found: Found) -> Advice:
    size = found.number("mib")
    params = {"gib": f"{size / 1024:.1f}"} if size is not None else {}
    if found.engine == "ollama":
        return _by_variables(found, params)
    layers = found.whole("layers_on_gpu")
    if not layers or layers < 2:
        return Advice(params)
    return Advice({**params, "layers": layers * 3 // 4}, {"--n-gpu-layers": str(layers * 3 // 4)})


def _by_variables(found: Found, params: Params) -> Advice:
    """Ollama takes no options of llama.cpp: it chooses the layers by itself, and its context by a variable."""
    context = found.whole("context_length") or found.whole("n_ctx")
    shorter = str(context // 2) if context and context >= 2 * SHORTEST else None
    variable = "OLLAMA_CONTEXT_LENGTH"
    told = {**params, "ollama": f"{variable}={shorter}" if shorter else variable}
    return Advice(told, {variable: shorter} if shorter else {})


def _shorter(found: Found) -> Advice:
    if found.engine == "ollama":
        return _by_variables(found, {})
    context = found.whole("n_ctx")
    if not context or context < 2 * SHORTEST:
        return Advice()
    return Advice({"now": context, "advised": context // 2}, {"--ctx-size": str(context // 2)})


def _magic(found: Found) -> Advice:
    return Advice(code="gguf_is_pointer") if str(found.params.get("magic", "")).startswith(_POINTER) else Advice()


CAUSES = (
    Cause(
        "gguf_gpu_out_of_memory",
        (N_("The GPU ran out of memory: {gib} GiB more were asked for at once."), N_("The GPU ran out of memory.")),
        (
            FOR_OLLAMA,
            N_(
                "Put fewer layers on the GPU (`--n-gpu-layers {layers}`), shorten the context, or use a smaller "
                "quantisation."
            ),
            N_("Put fewer layers on the GPU (`--n-gpu-layers`), shorten the context, or use a smaller quantisation."),
        ),
        (
            Sign(
                "out of memory", r"allocating (?P<mib>[\d.,]+) MiB on device (?P<device>\d+): \w+ failed: out of memory"
            ),
            Sign(
                "out of memory",
                r"(?:cudamalloc|hipmalloc|vk_?\w*|ggml_\w+|erroroutofdevicememory)[^:]*:?"
                r" .{0,40}out of memory",
            ),
            Sign("erroroutofdevicememory"),
            Sign("failed to allocate", r"failed to allocate (?!CPU)\w+\d buffer of size \d+"),
            Sign("unable to allocate", r"unable to allocate (?!CPU)\w+ buffer"),
        ),
        fatal=True,
        advise=_fewer_layers,
    ),
    Cause(
        "gguf_kv_cache_does_not_fit",
        (
            N_("There is not enough memory for a context of {now} tokens."),
            N_("There is not enough memory for a context of this length."),
        ),
        (
            FOR_OLLAMA,
            N_(
                "Shorten the context (`--ctx-size {advised}`), store it in 8 bits (`--cache-type-k q8_0`), or "
                "put fewer layers on the GPU."
            ),
            N_(
                "Shorten the context (`--ctx-size`), store it in 8 bits (`--cache-type-k q8_0`), or put fewer "
                "layers on the GPU."
            ),
        ),
        (
            Sign("kv cache", r"failed to allocate (?:\w+ )?buffer for (?:the )?kv.?cache"),
            Sign("kv_cache", r"llama_kv_cache\w*\(\) failed|failed to (?:create|allocate|init\w*) (?:the )?kv_?cache"),
        ),
        LIKELY + 0.1,
        fatal=True,
        advise=_shorter,
    ),
    Cause(
        "gguf_compute_buffers",
        (N_("There is not enough memory to calculate in, besides model and context."),),
        (N_("Shorten the context, lower the batch (`--ubatch-size 256`), or put fewer layers on the GPU."),),
        (
            Sign("failed to allocate compute", r"failed to allocate compute (?:\w+ )?buffers"),
            Sign("graph_reserve: failed"),
        ),
        LIKELY,
        fatal=True,
        advise=lambda _: Advice(flags={"--ubatch-size": "256"}),
    ),
    Cause(
        "gguf_system_memory",
        (N_("The machine's main memory is too small for the model or its context."),),
        (N_("Use a smaller quantisation or a shorter context, or end other programs."),),
        (
            Sign("unable to allocate cpu buffer"),
            Sign(
                "failed to allocate buffer", r"(?:cpu|aligned_malloc|ggml_\w+).{0,60}failed to allocate buffer of size"
            ),
            Sign("ggml_aligned_malloc", r"ggml_aligned_malloc: insufficient memory"),
            Sign("failed to mmap", r"(?:mmap|mlock) failed|failed to mmap", quiet=False),
        ),
        LIKELY + 0.1,
        fatal=True,
        advise=_shorter,
    ),
    Cause(
        "gguf_context_failed",
        (N_("The model was read, but its context could not be set up: most often for lack of memory."),),
        (N_("Shorten the context, or put fewer layers on the GPU."),),
        (
            Sign("failed to create context"),
            Sign("failed to create llama_context"),
            Sign("failed to initialize the context"),
        ),
        LIKELY - 0.1,
        fatal=True,
        advise=_shorter,
    ),
    Cause(
        "gguf_invalid",
        (N_("The file is not a GGUF model: it begins with {magic}."), N_("The file is not a GGUF model.")),
        (N_("Download it again, or convert it: files of the older GGML kind must be converted to GGUF."),),
        (
            Sign("invalid magic", r"invalid magic (?:characters|number)?:? ?'?(?P<magic>[^\s',;.]+)"),
            Sign("(magic, version) combination", r"unknown \(magic, version\) combination: (?P<magic>\w+)"),
            Sign("bad magic", r"bad (?:gguf )?magic"),
            Sign("not a gguf file"),
            Sign("invalid file magic"),
        ),
        fatal=True,
        advise=_magic,
    ),
    Cause(
        "gguf_is_pointer",
        (N_("The file is a Git LFS pointer of a few lines, not the model itself."),),
        (N_("Fetch the real file (`git lfs pull`), or download the model again."),),
    ),
    Cause(
        "gguf_version",
        (
            N_("The file's GGUF version {version} is not known to this engine."),
            N_("The file's GGUF version is not known to this engine."),
        ),
        (N_("Update the engine, or convert the model anew."),),
        (
            Sign("gguf", r"(?:unsupported|unknown|bad|invalid) (?:gguf )?(?:file )?version:? ?\(?(?P<version>\d+)?"),
            Sign("no longer supported", r"ggufv?1? ?\w* is no longer supported"),
        ),
        fatal=True,
    ),
    Cause(
        "gguf_damaged",
        (N_("The model's file is damaged, or its download is not complete."),),
        (N_("Download it again and compare size and checksum; of a model in parts all must be there."),),
        (
            Sign("is not within the file bounds"),
            Sign("corrupted or incomplete"),
            Sign(
                "failed to read",
                r"(?:gguf\w*|llama_model_load\w*).{0,40}failed to read (?:magic|header|tensor|key|data)",
            ),
            Sign("unexpectedly reached end of file"),
            Sign("wrong number of tensors", r"wrong number of tensors; expected \d+, got \d+"),
            Sign("split", r"(?:illegal|invalid|missing) split (?:file|count|idx|index)"),
            Sign("digest mismatch"),
        ),
        fatal=True,
    ),
    Cause(
        "gguf_tensor_missing",
        (
            N_("The model's file lacks a part that this engine expects ({tensor})."),
            N_("The model's file lacks a part that this engine expects."),
        ),
        (N_("Engine and file are of different ages: update the engine, or download a newer file of this model."),),
        (
            Sign("not found", r"(?:tensor|key) '?(?P<tensor>[\w.]+)'? not found(?: in model)?"),
            Sign("wrong shape", r"tensor '(?P<tensor>[\w.]+)' has wrong shape"),
            Sign("invalid ggml type"),
        ),
        LIKELY + 0.1,
        fatal=True,
    ),
    Cause(
        "gguf_file_missing",
        (N_("There is no model file at {path}."), N_("There is no model file at the given path.")),
        (N_("Check the path: it must exist on the machine that serves, and be readable there."),),
        (
            Sign("failed to open", r"failed to open (?:gguf|model)(?: file)?:? '?(?P<path>[^':\s]+)'?"),
            Sign(
                "no such file or directory",
                r"(?:gguf|llama|ggml|model)\w*.{0,120}?(?:open|stat) '?(?P<path>[^':\s]+)'?:?"
                r" .{0,20}no such file or directory",
            ),
            Sign(
                ".gguf",
                r"(?:cannot|can't|could not|couldn't|unable to) (?:open|find|read) .{0,40}?'?(?P<path>\S+\.gguf)",
            ),
        ),
        fatal=True,
    ),
    Cause(
        "gguf_load_failed",
        (N_("llama.cpp could not load the model {path}."), N_("llama.cpp could not load the model.")),
        (
            N_(
                "Check that the file is complete, that this version of the engine knows the model, and that "
                "there is memory enough."
            ),
        ),
        (
            Sign("failed to load model", r"failed to load model(?:,? (?:from )?'?(?P<path>[^'\s]+\.\w+)'?)?"),
            Sign("error loading model"),
            Sign("unable to load model", r"unable to load model(?:: (?P<path>\S+))?"),
            Sign("exiting due to model loading error"),
        ),
        CONSEQUENCE + 0.1,
        fatal=True,
    ),
    Cause(
        "ollama_model_missing",
        (N_("Ollama has no model {model}."), N_("Ollama has no such model.")),
        (N_("Pull it first (`ollama pull`), and check its name and tag."),),
        (
            Sign("pull model manifest", r"pull model manifest: (?:file does not exist|\S* ?404)"),
            Sign("try pulling it first", r"model [\"'\\]*(?P<model>[\w./:-]+)[\"'\\]* not found"),
            Sign("not found", r"model [\"'\\]+(?P<model>[\w./:-]+)[\"'\\]+ not found"),
        ),
        LIKELY + 0.1,
    ),
    Cause(
        "ollama_runner_ended",
        (N_("The program in which Ollama runs the model broke off."),),
        (
            N_(
                "Most often memory is short: use a smaller model or quantisation or a shorter context "
                "(OLLAMA_CONTEXT_LENGTH). Else update Ollama."
            ),
        ),
        (
            Sign("runner process has terminated"),
            Sign("runner exited"),
            Sign("runner process no longer running"),
            Sign("error loading llama server"),
            Sign("unexpectedly stopped", r"model runner has unexpectedly stopped"),
            Sign("timed out waiting for llama runner"),
            Sign("error starting llama runner"),
            Sign("error starting llama server"),
        ),
        CONSEQUENCE + 0.15,
        fatal=True,
    ),
    Cause(
        "runs_without_gpu",
        (N_("The engine found no GPU that it can use and runs on the processor: slow, but no failure."),),
        (N_("If there is a GPU, check its driver, and in a container that it is handed in (`--gpus all`)."),),
        (
            Sign("no compatible gpus were discovered", quiet=True),
            Sign("no usable gpu found", quiet=True),
            Sign("no nvidia or amd gpu detected", quiet=True),
        ),
        NOTICE,
    ),
    Cause(
        "pinned_memory",
        (N_("{mib} MiB of memory could not be pinned for quick transfers: slower, but no failure."),),
        (N_("Raise the limit for locked memory (`ulimit -l unlimited`) if loading should be quicker."),),
        (
            Sign("pinned memory", r"failed to allocate (?P<mib>[\d.,]+) MiB of pinned memory", quiet=True),
            Sign("failed to mlock", r"failed to mlock (?P<mib>[\d.]+)?", quiet=True),
        ),
        NOTICE,
    ),
)
