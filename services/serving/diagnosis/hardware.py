"""Causes: cards, drivers, and GPUs that talk to each other."""

from __future__ import annotations

from services.core.i18n import N_
from services.serving.diagnosis.causes import LIKELY, Advice, Cause, Found, Sign, fixed


def _longer(found: Found) -> Advice:
    seconds = found.whole("seconds")
    return Advice(flags={"VLLM_ENGINE_READY_TIMEOUT_S": str(seconds * 2)}) if seconds else Advice()


CAUSES = (
    Cause(
        "dtype_unsupported",
        (
            N_("{gpu} (compute capability {have}) cannot calculate in bfloat16; {need} is needed."),
            N_("This GPU cannot calculate in the model's number format (bfloat16)."),
        ),
        (N_("Set dtype to half (float16)."),),
        (
            Sign(
                "bfloat16",
                r"bfloat16 is only supported on GPUs with compute capability of at least"
                r" (?P<need>[\d.]+?)\.? Your (?P<gpu>.+?)"
                r" GPU has compute capability (?P<have>\d+\.\d+)",
            ),
            Sign("bfloat16", r"bfloat16 is (?:only supported|not supported)(?! for quantization)"),
            Sign("bf16", r"(?:device|gpu|card|hardware)\b.{0,40} (?:does not|doesn't) support (?:bf16|bfloat16)"),
        ),
        advise=fixed(dtype="half"),
    ),
    Cause(
        "fp8_unsupported",
        (N_("This GPU cannot calculate in FP8; that needs compute capability 8.9 or newer."),),
        (N_("Use the model in another form (AWQ, GPTQ or 16 bits), and keep kv_cache_dtype at auto."),),
        (
            Sign(
                "fp8",
                r"(?:fp8|float8)\w*.{0,60}(?:only supported|not supported|unsupported|requires?"
                r" (?:compute|sm|cuda)).{0,60}(?:capabilit|gpu|device|arch|sm_|hopper|ada)",
            ),
            Sign("fp8e4nv", r"fp8e4nv.{0,20} not supported in this architecture"),
        ),
        advise=fixed(kv_cache_dtype="auto"),
    ),
    Cause(
        "quantization_unsupported_by_gpu",
        (
            N_("The quantisation {method} needs a GPU of compute capability {need}; this one has {have}."),
            N_("The model's quantisation needs a newer GPU: capability {need}, this one has {have}."),
            N_("This GPU is too old for the model's quantisation."),
        ),
        (N_("Use the model in another form (GPTQ, AWQ, or 16 bits with dtype half), or another GPU."),),
        (
            Sign(
                "capability",
                r"quantization method (?P<method>[\w-]+) is not supported for the current GPU\. min\w*"
                r" capability: (?P<need>[\d.]+?)\. current capability: (?P<have>\d+)",
            ),
            Sign(
                "quantization",
                r"quantization scheme is not supported for[ ',\"]*the current GPU[. ',\"]*min\w*"
                r" capability: (?P<need>\d+)[. ',\"]*current capability: (?P<have>\d+)",
            ),
            Sign("quantization", r"quantization (?:method|scheme).{0,40}not supported for.{0,8}the current GPU"),
        ),
    ),
    Cause(
        "gpu_too_new_or_old_for_build",
        (N_("This build of the engine has no code for this GPU: its PyTorch or CUDA is too old, or the GPU is."),),
        (N_("Install an engine built for this GPU (newer CUDA for new cards), or use another GPU."),),
        (
            Sign("no kernel image is available"),
            Sign("device kernel image is invalid"),
            Sign("is not compatible with the current pytorch installation", quiet=True),
            Sign("ptxas", r"ptxas fatal.*(?:not defined|unsupported)"),
            Sign("unsupported gpu architecture"),
        ),
        LIKELY + 0.2,
        fatal=True,
    ),
    Cause(
        "driver_too_old",
        (
            N_("The NVIDIA driver is older than the engine's CUDA needs (found version {found})."),
            N_("The NVIDIA driver is older than the engine's CUDA needs."),
        ),
        (N_("Update the NVIDIA driver, or use an engine built for the older CUDA that `nvidia-smi` shows."),),
        (
            Sign(
                "driver on your system is too old",
                r"driver on your system is too old(?: \(found version (?P<found>\d+)\))?",
            ),
            Sign("forward compatibility was attempted"),
            Sign("driver version is insufficient"),
            Sign("unsupported toolchain"),
            Sign("unsatisfied condition", r"unsatisfied condition: cuda>=(?P<cuda>[\d.]+)"),
        ),
    ),
    Cause(
        "driver_library_mismatch",
        (
            N_(
                "The loaded NVIDIA driver and its library are of different versions, as after an update without "
                "a restart."
            ),
        ),
        (N_("Restart the machine, or load the new driver's modules."),),
        (
            Sign("driver/library version mismatch"),
            Sign("libcuda reported version"),
            Sign("cudaerrorsystemdrivermismatch"),
            Sign("error 803"),
        ),
    ),
    Cause(
        "fabric_manager_missing",
        (N_("The GPUs' switch is not ready: NVIDIA's Fabric Manager does not run."),),
        (N_("Start it (`systemctl start nvidia-fabricmanager`), in the same version as the driver."),),
        (
            Sign("error 802"),
            Sign("system not yet initialized", r"cuda.{0,80}system not yet initialized"),
            Sign("cudaerrorsystemnotready"),
        ),
    ),
    Cause(
        "no_gpu",
        (N_("The engine sees no GPU that it can use."),),
        (
            N_(
                "Check `nvidia-smi`, the list in CUDA_VISIBLE_DEVICES, and in a container that GPUs are handed "
                "in (`--gpus all`)."
            ),
        ),
        (
            Sign("no cuda gpus are available"),
            Sign("no hip gpus are available"),
            Sign("cuda driver initialization failed"),
            Sign("cuda unknown error"),
            Sign("found no nvidia driver"),
            Sign("failed to infer device type"),
            Sign("no cuda-capable device"),
            Sign("invalid device ordinal"),
            Sign("torch not compiled with cuda"),
            Sign("nvml_error_driver_not_loaded"),
            Sign(
                "nvml", r"nvmlerror_(?:driver|library)notfound|nvmlerror_librarynotfound|nvml shared library not found"
            ),
            Sign("could not select device driver"),
            Sign("libcuda.so", r"libcuda\.so\.1: cannot open shared object"),
            Sign("device string must not be empty"),
            Sign("ggml_cuda_init: failed to initialize", quiet=True),
        ),
        LIKELY + 0.2,
    ),
    Cause(
        "cuda_library_mismatch",
        (
            N_("A CUDA library ({library}) is missing or of another version than the engine was built for."),
            N_("A library does not fit the engine's build: PyTorch, CUDA and the engine are of different versions."),
        ),
        (
            N_(
                "Build the engine's environment anew, so that PyTorch, CUDA and engine come from one set of "
                "pinned packages."
            ),
        ),
        (
            Sign(
                "cannot open shared object file",
                r"(?P<library>lib(?:cu|nv|nccl|torch|cudart)[\w.+-]*): cannot open shared object file",
            ),
            Sign("undefined symbol", r"(?P<library>[\w.+-]+\.so[\w.]*): undefined symbol"),
            Sign("detected that pytorch and", r"detected that pytorch and \w+ were compiled with different cuda"),
            Sign("'_opnamespace'", r"'_opnamespace' .{0,60} has no attribute"),
            Sign("version `", r"(?P<library>[\w.+-]+\.so[\w.]*): version `[^']+' not found"),
            Sign("cudnn", r"cudnn.{0,60}(?:version (?:in)?compatib|version mismatch|cudnn_status_not_initialized)"),
        ),
    ),
    Cause(
        "cuda_illegal_access",
        (N_("The engine touched GPU memory that is not its own: a fault in the engine, or in the card."),),
        (
            N_(
                "Start it again. If it comes back, try enforce_eager or another version of the engine, and "
                "check the card (`nvidia-smi`, kernel log)."
            ),
        ),
        (
            Sign("illegal memory access"),
            Sign("cudaerrorillegaladdress"),
            Sign("device-side assert triggered"),
            Sign("misaligned address", r"cuda.{0,40}misaligned address"),
            Sign("illegal instruction was encountered"),
        ),
        LIKELY,
        fatal=True,
        advise=fixed(enforce_eager=None),
    ),
    Cause(
        "cuda_launch_failure",
        (N_("A calculation on the GPU broke off."),),
        (
            N_(
                "Start it again. If it comes back, check the card's temperature, power and kernel log (Xid), "
                "and try enforce_eager."
            ),
        ),
        (
            Sign("unspecified launch failure"),
            Sign("cudaerrorlaunchfailure"),
            Sign("cublas_status", r"cublas_status_(?:execution_failed|not_initialized|internal_error|alloc_failed)"),
        ),
        LIKELY,
        fatal=True,
        advise=fixed(enforce_eager=None),
    ),
    Cause(
        "gpu_fault",
        (
            N_("The NVIDIA driver reports a fault of the GPU (Xid {xid})."),
            N_("The GPU has failed or is not reachable any more."),
        ),
        (
            N_(
                "Look up this Xid in NVIDIA's list. A GPU that has fallen off the bus, or with memory errors, "
                "needs a restart of the machine or a repair."
            ),
        ),
        (
            Sign("xid", r"\bxid ?(?:\([^)]*\))?: (?P<xid>\d+)", quiet=True),
            Sign("uncorrectable ecc error"),
            Sign("gpu is lost"),
            Sign("fallen off the bus"),
        ),
        fatal=True,
    ),
    Cause(
        "engine_too_slow",
        (
            N_("The engine did not become ready within {seconds} seconds, and gave up."),
            N_("The engine did not become ready in time, and gave up."),
        ),
        (
            N_(
                "If the disk is slow, give it more time with VLLM_ENGINE_READY_TIMEOUT_S; else look above for "
                "what held it up."
            ),
        ),
        (
            Sign("timed out waiting for engine", r"timed out waiting for engine(?:.*?waited (?P<seconds>\d+) ?s)?"),
            Sign("start within", r"engine.{0,40} did(?:n't| not) start within(?: (?P<seconds>\d+))?"),
            Sign("become ready", r"(?:engine|server).{0,40}(?:did(?:n't| not)|failed to) become ready"),
        ),
        LIKELY - 0.1,
        advise=_longer,
    ),
)
