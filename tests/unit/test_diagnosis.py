"""What a log's lines are taken for, the values that are worked out, and what is no failure."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest

from services.core.errors import InvalidValue, PathNotFound
from services.serving.diagnosis import UNKNOWN, Context, Diagnosis, diagnose, files, registry
from services.serving.diagnosis.lines import read

GIB = 1 << 30
NO_BLOCKS = "ValueError: No available memory for the cache blocks."
READY = "INFO:     Application startup complete."

LINES = {
    # memory
    "RuntimeError: No available memory for the cache blocks": "kv_cache_none",
    "the estimated maximum model length is 5000.": "max_model_len_does_not_fit",
    "torch.cuda.OutOfMemoryError: CUDA out of memory.": "out_of_gpu_memory",
    "RuntimeError: CUDA error: out of memory": "out_of_gpu_memory",
    "CUDA out of memory occurred when warming up sampler with 512 dummy requests.": "warm_up_out_of_memory",
    "AssertionError: Error in memory profiling. Initial free memory 9.5 GiB, current free memory 9.9 GiB.": (
        "memory_profiling_disturbed"
    ),
    "ValueError: max_num_batched_tokens (2048) is smaller than max_model_len (8192).": "batch_smaller_than_context",
    # cards and drivers
    "RuntimeError: FP8 is only supported on GPUs with compute capability >= 8.9": "fp8_unsupported",
    "ValueError: The quantization method awq is not supported for the current GPU. Minimum capability: 75."
    " Current capability: 61.": "quantization_unsupported_by_gpu",
    "RuntimeError: ('Quantization scheme is not supported for ', 'the current GPU. Min capability: 80. ',"
    " 'Current capability: 75.')": "quantization_unsupported_by_gpu",
    "CUDA error: no kernel image is available for execution on the device": "gpu_too_new_or_old_for_build",
    "RuntimeError: Found no NVIDIA driver on your system.": "no_gpu",
    "RuntimeError: Failed to infer device type": "no_gpu",
    "Failed to initialize NVML: Driver/library version mismatch": "driver_library_mismatch",
    "ImportError: libcudart.so.13: cannot open shared object file: No such file or directory": "cuda_library_mismatch",
    "ImportError: /e/vllm/_C.abi3.so: undefined symbol: _ZN3c10": "cuda_library_mismatch",
    "RuntimeError: CUDA error: unspecified launch failure": "cuda_launch_failure",
    "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.": "gpu_fault",
    # several GPUs
    "NCCL error: unhandled cuda error": "nccl_cuda_error",
    "Watchdog caught collective operation timeout: WorkNCCL(SeqNum=3)": "nccl_timeout",
    "AssertionError: local_world_size (4) must be less than or equal to the number of visible devices (2).": (
        "more_gpus_than_there_are"
    ),
    "NotImplementedError: Pipeline parallelism is not supported for this model.": "pipeline_unsupported",
    # models
    "huggingface_hub.errors.GatedRepoError: 403 Client Error.": "gated_model",
    "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://h/x": "hub_refused_token",
    "OSError: acme/nope is not a local folder and is not a valid model identifier": "model_not_found",
    "OSError: We couldn't connect to 'https://huggingface.co' to load the files": "hub_unreachable",
    "OSError: /m/x does not appear to have a file named config.json.": "config_missing",
    "ValueError: Invalid repository ID or local directory specified: '/m/empty'.": "config_missing",
    "safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge": "weights_damaged",
    "ValueError: The checkpoint you are trying to load has model type `new9` but Transformers does not recognize": (
        "architecture_unknown"
    ),
    "NewNet has no vLLM implementation and the Transformers implementation is not compatible": "architecture_unknown",
    "ValueError: Loading /m/x requires you to execute the configuration file in that repo": "trust_remote_code",
    "OSError: Can't load tokenizer for '/m/x'.": "tokenizer_missing",
    "ValueError: The supplied chat template (t.jinja) looks like a file path, but it doesn't exist": (
        "chat_template_missing"
    ),
    "ValueError: Quantization method specified in the model config (gptq) does not match the quantization method"
    " specified in the `quantization` argument (awq).": "quantization_mismatch",
    "ValueError: torch.bfloat16 is not supported for quantization method awq.": "quantization_dtype",
    "ValueError: Unknown quantization method: abc.": "quantization_unknown",
    # the machine
    "ERROR:    [Errno 98] error while attempting to bind on address ('::', 81): address already in use": "port_in_use",
    "start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080": "port_in_use",
    "ModuleNotFoundError: No module named 'PIL'": "package_missing",
    "ImportError: This model requires the accelerate library": "package_missing",
    "ImportError: cannot import name 'x' from 'transformers'": "package_versions_clash",
    "Bus error (core dumped)": "shared_memory",
    "OSError: [Errno 28] No space left on device: '/m/x'": "disk_full",
    "OSError: [Errno 24] Too many open files": "too_many_open_files",
    "RuntimeError: can't start new thread": "too_many_processes",
    "PermissionError: [Errno 13] Permission denied: '/c/hub'": "permission_denied",
    "vllm: error: unrecognized arguments: --max-len 5": "bad_option",
    "error: unknown argument: --ngll": "bad_option",
    "vllm serve: error: argument --dtype: invalid choice: 'int4' (choose from 'auto')": "bad_option_value",
    "Killed": "killed_for_memory",
    "kernel: oom-kill:constraint=CONSTRAINT_NONE,task=python3": "killed_for_memory",
    "RuntimeError: Failed to find C compiler. Please specify via CC environment variable.": "incomplete_compiler",
    # llama.cpp, Ollama
    "llama_kv_cache_init: failed to allocate buffer for kv cache": "gguf_kv_cache_does_not_fit",
    "llama_model_load: error loading model: unable to allocate CUDA0 buffer": "gguf_gpu_out_of_memory",
    "llama_model_load: error loading model: tensor 'blk.2.ffn_down.weight' data is not within the file bounds,"
    " model is corrupted or incomplete": "gguf_damaged",
    "gguf_init_from_file: unsupported GGUF version 9": "gguf_version",
    "gguf_init_from_file: failed to open '/m/x.gguf' (No such file or directory)": "gguf_file_missing",
    "llama_model_load_from_file_impl: failed to load model": "gguf_load_failed",
    'Error: model "nope:7b" not found, try pulling it first': "ollama_model_missing",
    "Error: llama runner process has terminated: exit status 2": "ollama_runner_ended",
    "Error: llama runner process has terminated: cudaMalloc failed: out of memory": "gguf_gpu_out_of_memory",
    # the ends of others
    "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.": "engine_core_failed",
    "RuntimeError: Engine core initialization failed. See root cause above.": "engine_core_failed",
    "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.": "ray_worker_died",
    "Segmentation fault (core dumped)": "crashed",
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_taken_for_its_cause(line: str) -> None:
    found = diagnose([line])
    assert found
    assert (found[0].code, found[0].evidence.line, found[0].evidence.number) == (LINES[line], line, 1)


HARMLESS = [
    "WARNING 01-01 00:00:00 [u.py:1] This can cause errors like `OSError: [Errno 24] Too many open files`.",
    "(Worker pid=2) WARNING 01-01 00:00:00 [u.py:1] ModuleNotFoundError: No module named 'flash_attn'",
    "INFO 01-01 00:00:00 [u.py:1] Error-free start: no space left on device would be told here",
    "W0101 00:00:00 something else altogether",
    'time=2026-01-01T00:00:00Z level=WARN source=x.go:1 msg="failed to load model" err=none',
    '{"level": "warning", "message": "CUDA out of memory was avoided"}',
    "Loading safetensors checkpoint shards: 100% Completed | 4/4 [00:01<00:00]",
]


@pytest.mark.parametrize("line", HARMLESS)
def test_a_warning_is_no_failure(line: str) -> None:
    assert diagnose([line]) == []


@pytest.mark.parametrize(
    ("lines", "flags"),
    [
        (["ValueError: Available memory on node 0 (14.87/16.84 GiB) on kv cache allocation is less than requested"
          " memory for kv (4000.0 GiB). Decrease --kv-cache-memory-bytes, VLLM_CPU_KVCACHE_SPACE"],
         {"VLLM_CPU_KVCACHE_SPACE": "7"}),
        (["Free memory on device (6.10/10.00 GiB) on startup is less than desired GPU memory utilization"
          " (0.9, 9.00 GiB)"],
         {"--gpu-memory-utilization": "0.59"}),
        (["max seq len (8000), (4.00 GiB KV cache is needed, which is larger than the available KV cache memory"
          " (1.00 GiB)"],
         {"--max-model-len": "1952"}),
        (["Total number of attention heads (28) must be divisible by tensor parallel size (8)."],
         {"--tensor-parallel-size": "7"}),
        (["World size (8) is larger than the number of available GPUs (3) in this node."],
         {"--tensor-parallel-size": "2"}),
        (["x: Bfloat16 is only supported on GPUs with compute capability of at least 8.0."], {"--dtype": "half"}),
        (["listen tcp 127.0.0.1:11434: bind: address already in use", "ollama"], {"--port": "11435"}),
        (["load_tensors: offloaded 40/40 layers to GPU",
          "ggml_x: allocating 900,5 MiB on device 0: cudaMalloc failed: out of memory"], {"--n-gpu-layers": "30"}),
    ],
)  # fmt: skip
def test_a_flag_has_the_value_that_follows_from_the_line(lines: list[str], flags: dict[str, str]) -> None:
    assert diagnose(lines)[0].flags == flags


OLLAMA_IS_FULL = "Error: llama runner process has terminated: cudaMalloc failed: out of memory"


def test_ollama_is_advised_in_its_own_variables() -> None:
    (known,) = diagnose([OLLAMA_IS_FULL], "ollama", Context(options={"context_length": 8192}))
    assert known.flags == {"OLLAMA_CONTEXT_LENGTH": "4096"}
    (unknown,) = diagnose([OLLAMA_IS_FULL], "ollama")
    assert unknown.flags == {}
    for found, told in ((known, "`OLLAMA_CONTEXT_LENGTH=4096`"), (unknown, "`OLLAMA_CONTEXT_LENGTH`")):
        remedy = found.render().remedy
        assert told in remedy and "OLLAMA_KV_CACHE_TYPE" in remedy and "--n-gpu-layers" not in remedy


def test_raising_the_share_is_contradicted_where_others_hold_the_memory() -> None:
    alone = diagnose([NO_BLOCKS], "vllm", Context(options={"gpu_memory_utilization": 0.6}))
    assert alone[0].flags == {"--gpu-memory-utilization": "0.65"}
    held = Context(options={"gpu_memory_utilization": 0.6}, gpu_total_bytes=24 * GIB, gpu_free_bytes=15 * GIB)
    shared = diagnose([NO_BLOCKS], "vllm", held)
    assert "--gpu-memory-utilization" not in shared[0].flags
    assert "other programs hold 9.0 GiB" in shared[0].render().message
    assert "does not help" in shared[0].render().remedy


@pytest.mark.parametrize(
    ("function", "code"),
    [
        ("load_model", "weights_do_not_fit"),
        ("profile_run", "activations_out_of_memory"),
        ("initialize_kv_cache", "kv_cache_out_of_memory"),
        ("capture_model", "cuda_graphs_out_of_memory"),
        ("execute_model", "out_of_gpu_memory"),
    ],
)
def test_the_traceback_tells_in_which_part_memory_ended(function: str, code: str) -> None:
    lines = [
        "Traceback (most recent call last):",
        f'  File "/e/x.py", line 3, in {function}',
        "    raise torch.OutOfMemoryError",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
    ]
    found = diagnose(lines, "vllm")
    assert (found[0].code, found[0].evidence.number) == (code, 4)


@pytest.mark.parametrize("engine", ["transformers", "embeddings"])
def test_engines_without_a_share_of_the_memory_are_not_told_to_lower_it(engine: str) -> None:
    full = (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 224.00 MiB. GPU 0 has a total capacity of "
        "79.18 GiB of which 64.00 MiB is free."
    )
    (found,) = diagnose([full], engine)
    assert found.code == "torch_out_of_gpu_memory"
    assert "64.00 MiB of 79.18 GiB were free" in found.render().message
    assert "gpu_memory_utilization" not in found.render().remedy and "GPUs page" in found.render().remedy


def test_the_cause_stands_before_its_consequences_wherever_it_is() -> None:
    lines = ["EngineCore failed to start.", "[rank0]: BrokenPipeError: x", f"(Worker_TP1 pid=9) {NO_BLOCKS}"]
    assert [diagnosis.code for diagnosis in diagnose(lines)] == ["kv_cache_none"]
    likely = ["ncclSystemError: System call failed.", NO_BLOCKS]
    assert [diagnosis.code for diagnosis in diagnose(likely)] == ["kv_cache_none", "nccl_system_error"]


def test_ready_forgets_what_was_before_and_only_death_counts_after() -> None:
    assert diagnose([NO_BLOCKS, READY]) == []
    request = "ERROR 01-01 00:00:00 [s.py:1] ValueError: torch.cuda.OutOfMemoryError: CUDA out of memory."
    assert diagnose([READY, request]) == []
    assert [row.code for row in diagnose([READY, request, "EngineDeadError: x"])] == ["out_of_gpu_memory"]
    assert diagnose([READY, "INFO:     Shutting down", "EngineDeadError: x"]) == []
    assert [row.code for row in diagnose([NO_BLOCKS, READY, "EngineDeadError: x"])] == ["engine_core_failed"]


def test_a_port_that_is_taken_after_the_start_is_a_failure() -> None:
    lines = [
        READY,
        "ERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use",
    ]
    assert [row.code for row in diagnose(lines)] == ["port_in_use"]


def test_listening_is_not_ready_for_llama_cpp() -> None:
    lines = [
        "main: HTTP server is listening, hostname: 127.0.0.1, port: 1",
        "error loading model: unexpectedly reached end of file",
    ]
    assert [row.code for row in diagnose(lines)] == ["gguf_damaged"]


def test_a_new_run_forgets_the_one_before() -> None:
    begin = "INFO 01-01 00:00:00 [api_server.py:1] vLLM API server version 9.9"
    assert diagnose([begin, NO_BLOCKS, begin]) == []
    assert diagnose([begin, READY, begin, NO_BLOCKS])[0].evidence.number == 4


def test_the_way_a_process_ended_is_a_failure_of_its_own() -> None:
    assert diagnose(["loading"], context=Context(exit_code=0)) == []
    assert diagnose(["loading"], context=Context(signal=9))[0].code == "killed_for_memory"
    ended = diagnose(["loading", ""], context=Context(exit_code=3))[0]
    assert (ended.code, ended.evidence.line) == (UNKNOWN, "loading")


def test_an_interruption_by_a_person_is_no_failure() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "/e/x.py", line 3, in run',
        "    wait()",
        "KeyboardInterrupt",
    ]
    assert diagnose(lines) == []


def test_a_json_log_keeps_its_traceback() -> None:
    trace = 'Traceback (most recent call last):\n  File "/e/x.py", line 3, in load_model\n    x()\nFooError: bar'
    found = diagnose([json.dumps({"level": "error", "message": "start failed", "exc_info": trace})])
    assert (found[0].code, found[0].params["line"]) == (UNKNOWN, "FooError: bar")


@pytest.mark.parametrize(
    ("raw", "source", "level", "text"),
    [
        (
            "(EngineCore_DP0 pid=123) ERROR 11-05 12:00:00 [core.py:654]   File",
            "EngineCore_DP0 pid=123",
            "ERROR",
            "  File",
        ),
        ("[rank3]:   File", "rank3", "", "  File"),
        ("vllm-1  | (Worker_TP1 pid=7) hello", "Worker_TP1 pid=7", "", "hello"),
        ("2026-01-01T00:00:00.123Z stderr F INFO:     hello", "", "INFO", "hello"),
        ("0.01.234.567 E main: hello", "", "ERROR", "main: hello"),
        ("Jan  1 00:00:00 box ollama[12]: hello", "", "", "hello"),
    ],
)
def test_a_line_is_taken_apart(raw: str, source: str, level: str, text: str) -> None:
    (line,) = read(1, raw)
    assert (line.source, line.level, line.text) == (source, level, text)


def test_every_cause_has_words_and_signs_that_can_be_used() -> None:
    codes = [cause.code for cause in registry.CAUSES]
    assert len(codes) == len(set(codes))
    for cause in registry.CAUSES:
        fields = {
            name for text in (*cause.cause, *cause.remedy) for _, name, _, _ in string.Formatter().parse(text) if name
        }
        rendered = cause.render(dict.fromkeys(fields, "7"))
        assert rendered.message.endswith((".", ")")) and rendered.remedy.endswith((".", ")")), cause.code
        bare = cause.render({})
        assert "?" not in bare.message + bare.remedy or len(cause.cause) == 1, cause.code
        for sign in cause.signs:
            assert sign.compiled and sign.needle == sign.needle.lower(), cause.code


def test_a_diagnosis_survives_being_stored() -> None:
    found = diagnose(["listen tcp 127.0.0.1:11434: bind: address already in use"])[0]
    assert Diagnosis.of(json.loads(json.dumps(found.row()))) == found


def test_colours_progress_bars_and_broken_bytes_do_not_hide_the_cause(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    bars = "\r".join(f"\x1b[32mLoading {percent}%\x1b[0m" for percent in range(100))
    path.write_bytes(bars.encode() + b"\r\xff\xfe\x1b[31mValueError: No available memory for the cache \x1b[1mblocks\n")
    assert [row.code for row in diagnose(files.lines_of(path, files.part_of(path)))] == ["kv_cache_none"]


def test_of_a_huge_file_the_end_is_read_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_text("x" * 99 + "\n" + "nothing\n" * 1000 + NO_BLOCKS + "\n", "utf-8")
    part = files.part_of(path, 4000)
    assert (part.size_bytes - part.skipped_bytes, part.first_line > 400) == (4000, True)
    found = diagnose(files.lines_of(path, part), first=part.first_line)
    assert found[0].evidence.number == 1002


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_bytes(b"y" * 3_000_000 + b"\n" + NO_BLOCKS.encode())
    lines = list(files.lines_of(path, files.part_of(path)))
    assert (len(lines), len(lines[0]) < 100_000, lines[1]) == (2, True, NO_BLOCKS)


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PathNotFound):
        files.part_of(tmp_path / "none")
    with pytest.raises(InvalidValue):
        files.part_of(tmp_path)
    (tmp_path / "b").write_bytes(bytes(range(256)) + bytes(1000))
    with pytest.raises(InvalidValue):
        files.part_of(tmp_path / "b")
