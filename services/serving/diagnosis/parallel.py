"""Causes: several GPUs that work on one model, and how they talk to each other."""

from __future__ import annotations

from services.core.i18n import N_
from services.serving.diagnosis.causes import LIKELY, Advice, Cause, Found, Sign, fixed


def _divisor(found: Found) -> Advice:
    """The largest number of GPUs, up to the one asked for, that divides the heads."""
    heads, asked = found.whole("heads"), found.whole("asked")
    if not heads or not asked:
        return Advice()
    fits = next(count for count in range(asked, 0, -1) if heads % count == 0)
    return Advice({"fits": fits}, {"--tensor-parallel-size": str(fits)})


def _as_many_as_there_are(found: Found) -> Advice:
    there = found.whole("there") or found.context.gpu_count
    if not there:
        return Advice()
    power = 1 << (there.bit_length() - 1)
    return Advice({"there": there}, {"--tensor-parallel-size": str(power)})


CAUSES = (
    Cause(
        "nccl_shared_memory",
        (N_("The GPUs could not talk to each other through shared memory: /dev/shm is too small or not reachable."),),
        (
            N_(
                "In a container give it more shared memory (`--ipc=host` or `--shm-size 10g`); else free what "
                "fills /dev/shm."
            ),
        ),
        (
            Sign("shared memory segment", r"error while (?:creating|attaching to) shared memory segment", quiet=True),
            Sign("ncclshmopen"),
            Sign("no space left", r"/shm\b\S*.{0,80}no space left", quiet=True),
            Sign("no space left", r"no space left on device.{0,80}/shm\b"),
        ),
        advise=fixed(NCCL_SHM_DISABLE="1"),
    ),
    Cause(
        "nccl_system_error",
        (N_("The GPUs could not talk to each other: NCCL met a system error."),),
        (
            N_(
                "Most often /dev/shm is too small (in a container `--ipc=host`), or NCCL chose a wrong network "
                "card (NCCL_SOCKET_IFNAME). With NCCL_DEBUG=INFO the log names it."
            ),
        ),
        (Sign("unhandled system error"), Sign("ncclsystemerror"), Sign("ncclunhandledsystemerror")),
        LIKELY,
        fatal=True,
        advise=fixed(NCCL_DEBUG="INFO"),
    ),
    Cause(
        "nccl_cuda_error",
        (N_("The GPUs could not talk to each other directly: a CUDA call of NCCL failed."),),
        (
            N_(
                "Try without direct transfers (NCCL_P2P_DISABLE=1, and disable_custom_all_reduce). With "
                "NCCL_DEBUG=INFO the log says more."
            ),
        ),
        (
            Sign("unhandled cuda error"),
            Sign("ncclunhandledcudaerror"),
            Sign("peer access is not supported"),
            Sign("ncclinternalerror"),
            Sign("ncclinvalidusage"),
            Sign("nccl", r"nccl error.{0,120}(?:invalid usage|internal error|invalid argument)"),
        ),
        LIKELY,
        fatal=True,
        advise=fixed(NCCL_P2P_DISABLE="1", disable_custom_all_reduce=None),
    ),
    Cause(
        "nccl_timeout",
        (N_("One GPU waited for another in vain until NCCL gave up."),),
        (
            N_(
                "Look above for what happened to the other one. If nothing did, try without direct transfers "
                "(NCCL_P2P_DISABLE=1)."
            ),
        ),
        (
            Sign("watchdog caught collective operation timeout"),
            Sign("collective operation timeout"),
            Sign("nccl", r"nccl.{0,60}(?:timed out|timeout)"),
        ),
        LIKELY,
        fatal=True,
        advise=fixed(NCCL_P2P_DISABLE="1"),
    ),
    Cause(
        "tensor_parallel_does_not_divide",
        (
            N_("The model's {heads} attention heads cannot be shared out evenly among {asked} GPUs."),
            N_("The model cannot be shared out evenly among this number of GPUs."),
        ),
        (
            N_("Set tensor_parallel_size to {fits}, or to another number that divides {heads}."),
            N_("Choose a tensor_parallel_size that divides the model's heads and layers."),
        ),
        (
            Sign(
                "divisible by tensor parallel size",
                r"heads? \((?P<heads>\d+)\) must be divisible by tensor parallel size \((?P<asked>\d+)\)",
            ),
            Sign(
                "is not divisible by",
                r"(?:heads?|vocab|size|dim\w*|partition)\b.{0,80} is not divisible by"
                r" .{0,40}(?:tensor|parallel|tp|weight quantization block|\d)",
            ),
            Sign("is not divisible by", r"error: (?:[\w =]* )?\d+ is not divisible by \d+"),
            Sign("not aligned with the quantized weight shape"),
        ),
        advise=_divisor,
    ),
    Cause(
        "more_gpus_than_there_are",
        (
            N_("{asked} GPUs were asked for, but the engine sees {there}."),
            N_("More GPUs were asked for than the engine sees."),
        ),
        (
            N_(
                "Set tensor_parallel_size (times pipeline_parallel_size) to at most {there}, or make more GPUs "
                "visible to it (CUDA_VISIBLE_DEVICES)."
            ),
            N_("Lower tensor_parallel_size, or make more GPUs visible to it (CUDA_VISIBLE_DEVICES)."),
        ),
        (
            Sign(
                "world",
                r"world.?size \((?P<asked>\d+)\).{0,40}(?:larger|less|greater|exceeds"
                r"|equal).{0,80}(?:gpus?|gpu count|devices?)\D{0,40}\((?P<there>\d+)\)",
            ),
            Sign("world size", r"world size .{0,40}larger than the number of available GPUs(?: \((?P<there>\d+)\))?"),
            Sign("number of required gpus exceeds"),
            Sign("placement group", r"(?:cannot|unable to|can't) (?:provide|allocate|create) a placement group"),
            Sign(
                "tensor parallel size",
                r"tensor parallel size \((?P<asked>\d+)\) (?:exceeds|cannot be larger than)"
                r" .{0,20}available GPUs \((?P<there>\d+)\)",
            ),
        ),
        advise=_as_many_as_there_are,
    ),
    Cause(
        "pipeline_unsupported",
        (N_("The engine cannot spread this model over GPUs as a pipeline."),),
        (N_("Set pipeline_parallel_size to 1 and use tensor_parallel_size instead."),),
        (
            Sign("support pipeline parallel", r"(?:does not|doesn't|not) support pipeline parallel"),
            Sign(
                "pipeline parallel", r"pipeline parallel\w*.{0,40}(?:is )?(?:not supported|unsupported|only supported)"
            ),
        ),
        advise=fixed(pipeline_parallel_size="1"),
    ),
)
