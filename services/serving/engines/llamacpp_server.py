"""llama.cpp's HTTP server as a program: `python -m services.serving.engines.llamacpp_server --model FILE …`."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from pathlib import Path

MAGIC = b"GGUF"
PING_S = 10
BATCH_TOKENS = 128
"""A prompt's progress is told once per batch: on two cores, every two seconds."""
PROMPT_CACHE_MIB = 256
"""llama.cpp would keep up to 8 GiB of earlier prompts otherwise."""


def main() -> int:
    """Serve until SIGTERM; 1 with one line where it cannot be."""
    options = _options()
    fault = _fault(options)
    if fault:
        sys.stderr.write(f"error: {fault}\n")
        return 1
    # Blocked before the server makes its threads, so that the signal waits for this one.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    import xllamacpp

    try:
        server = xllamacpp.Server(_parameters(options))
    except RuntimeError as error:
        sys.stderr.write(f"error: llama.cpp cannot serve {options.model}: {error}\n")
        return 1
    sys.stderr.write(f"serving {options.model} at {server.listening_address}\n")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="llama.cpp's HTTP server around one GGUF file")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--alias", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    for name in ("port", "context", "parallel", "threads", "prompt-threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--gpu-layers", type=int, default=-1)
    parser.add_argument("--reranking", action="store_true")
    return parser.parse_args()


def _fault(options: argparse.Namespace) -> str | None:
    """What xllamacpp would tell by one and the same RuntimeError."""
    try:
        with options.model.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return f"{options.model} is not a GGUF file"
    except OSError as error:
        return f"the model {options.model} cannot be read: {error.strerror}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            return f"port {options.port} on {options.host} cannot be used: {error.strerror}"
    return None


def _parameters(options: argparse.Namespace) -> object:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(options.model)
    parameters.model_alias = {options.alias}
    parameters.hostnames = [options.host]
    parameters.port = options.port
    parameters.n_ctx = options.context * options.parallel
    parameters.n_parallel = options.parallel
    parameters.n_gpu_layers = options.gpu_layers
    parameters.cpuparams.n_threads = options.threads
    parameters.cpuparams_batch.n_threads = options.prompt_threads
    parameters.n_batch = BATCH_TOKENS
    if options.reranking:
        parameters.embedding = True
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
        parameters.n_batch = parameters.n_ubatch = options.context  # a text is read in one batch or not at all
    parameters.cache_ram_mib = PROMPT_CACHE_MIB
    parameters.endpoint_metrics = True
    parameters.sse_ping_interval = PING_S
    parameters.ui = False
    return parameters


if __name__ == "__main__":
    sys.exit(main())
