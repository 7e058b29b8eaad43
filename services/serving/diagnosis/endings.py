"""Causes that are none: words of processes that died because another did. They count where nothing else is known."""

from __future__ import annotations

from services.core.i18n import N_
from services.serving.diagnosis.causes import CONSEQUENCE, Cause, Sign

CAUSES = (
    Cause(
        "engine_core_failed",
        (N_("vLLM's engine process failed; this log does not say why."),),
        (N_("Look further up in the log, or start it again: the cause stands before this line."),),
        (
            Sign("enginecore failed to start"),
            Sign("engine process failed to start"),
            Sign("engine core initialization failed"),
            Sign("engine core proc", r"engine core proc\S* .{0,60}died"),
            Sign("enginedeaderror"),
            Sign("enginecore encountered a"),
            Sign("engine loop has died"),
            Sign("background loop has errored", r"background loop has errored|background loop is stopped"),
            Sign("asyncenginedeaderror"),
            Sign("mqenginedeaderror"),
            Sign("workerproc initialization failed"),
            Sign("worker proc", r"worker ?proc\S* .{0,80}died"),
            Sign("failed core proc"),
            Sign("executor failed"),
            Sign("rpc call to", r"rpc call to \w+ timed out"),
            Sign("enginecore hit an exception"),
            Sign("error executing method", r"error executing method '?\w+'?"),
            Sign("worker_process", r"worker \w+ pid \d+ died, exit code: (?P<exit>-?\d+)"),
        ),
        CONSEQUENCE,
        fatal=True,
    ),
    Cause(
        "ray_worker_died",
        (N_("A Ray worker died; this log does not say why."),),
        (N_("Look into the logs of that worker (below /tmp/ray/session_latest/logs)."),),
        (
            Sign("actordiederror"),
            Sign("actor died unexpectedly"),
            Sign("the actor is dead because"),
            Sign("worker crashed", r"(?:ray )?worker crashed|worker unexpectedly exits"),
            Sign("rayactorerror"),
            Sign("raytaskerror", r"^(?:ray\.exceptions\.)?raytaskerror\W*$"),
        ),
        CONSEQUENCE,
        fatal=True,
    ),
    Cause(
        "peer_lost",
        (N_("One of the engine's processes lost another one; this log does not say why that one ended."),),
        (N_("Look further up in the log, or at the other GPUs' processes: one of them ended first."),),
        (
            Sign("connection closed by", r"connection closed by (?:remote )?peer"),
            Sign(
                "connection reset by peer",
                r"(?:nccl|gloo|tcpstore|socket|torch|distributed|recvvalue|oserror"
                r"|error).{0,120}connection reset by peer",
            ),
            Sign("remote process exited"),
            Sign("ncclremoteerror"),
            Sign("tcpstore", r"tcpstore.{0,80}(?:broken pipe|failed|timed out|timeout)"),
            Sign("brokenpipeerror"),
            Sign("eoferror", r"^eoferror\b"),
            Sign("distbackenderror"),
            Sign("diststoreerror"),
        ),
        CONSEQUENCE - 0.05,
    ),
    Cause(
        "crashed",
        (N_("The engine crashed ({how})."), N_("The engine crashed.")),
        (N_("Try another version of the engine; with a GPU check that driver, CUDA and engine fit together."),),
        (
            Sign("segmentation fault", r"(?P<how>segmentation fault)"),
            Sign("sigsegv", r"(?P<how>SIGSEGV)"),
            Sign("core dumped", r"(?P<how>\w[\w ]*?) \(core dumped\)"),
            Sign("exited with", r"exited with (?:exit )?(?:code|status):? (?P<how>139|134|-11|-6)\b"),
            Sign("sigabrt", r"(?P<how>SIGABRT)"),
            Sign("exit code", r"exit ?code:? ?=?-(?P<how>(?!9\b|15\b)\d+)"),
            Sign("illegal instruction", r"(?P<how>illegal instruction)(?! was)"),
            Sign("ggml_assert", r"(?P<how>GGML_ASSERT)"),
        ),
        CONSEQUENCE + 0.05,
        fatal=True,
    ),
)
