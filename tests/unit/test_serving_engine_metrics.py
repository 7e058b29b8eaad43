"""What is read from the /metrics of vLLM and llama.cpp, in the words of both, and what two readings make of it."""

from __future__ import annotations

import pytest

from services.serving.engine_metrics import Figures, Reading, figures, reading

VLLM = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="tiny"}} {running}
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{engine="0",model_name="tiny"}} 1.0
vllm:num_requests_waiting_by_reason{{engine="0",model_name="tiny",reason="capacity"}} 9.0
# TYPE {kv} gauge
{kv}{{engine="0",model_name="tiny"}} 0.25
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{{engine="0",model_name="tiny"}} {prompt}
vllm:prompt_tokens_created{{engine="0",model_name="tiny"}} 1.79e+09
vllm:prompt_tokens_by_source_total{{engine="0",model_name="tiny",source="local_compute"}} 999.0
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{engine="0",model_name="tiny"}} {generated}
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{{engine="0",le="0.04",model_name="tiny"}} {fast}
vllm:time_to_first_token_seconds_bucket{{engine="0",le="0.08",model_name="tiny"}} {count}
vllm:time_to_first_token_seconds_bucket{{engine="0",le="+Inf",model_name="tiny"}} {count}
vllm:time_to_first_token_seconds_count{{engine="0",model_name="tiny"}} {count}
vllm:time_to_first_token_seconds_sum{{engine="0",model_name="tiny"}} {sum}
"""
LLAMA_CPP = """\
# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed, excluding cached tokens
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total {prompt}
# TYPE llamacpp:prompt_seconds_total counter
llamacpp:prompt_seconds_total {prompt_s}
# TYPE llamacpp:tokens_predicted_total counter
llamacpp:tokens_predicted_total {generated}
# TYPE llamacpp:tokens_predicted_seconds_total counter
llamacpp:tokens_predicted_seconds_total {generated_s}
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing {running}
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 2
"""


def vllm(at_s: float, kv: str = "vllm:kv_cache_usage_perc", **values: float) -> Reading:
    zero = {"running": 0.0, "prompt": 0.0, "generated": 0.0, "fast": 0.0, "count": 0.0, "sum": 0.0}
    found = reading(VLLM.format(kv=kv, **{**zero, **values}), at_s * 1000)
    assert found
    return found


def llama(at_s: float, **values: float) -> Reading:
    zero = {"running": 0, "prompt": 0, "prompt_s": 0, "generated": 0, "generated_s": 0}
    found = reading(LLAMA_CPP.format(**{**zero, **values}), at_s * 1000)
    assert found
    return found


@pytest.mark.parametrize("kv", ["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"])
def test_two_readings_of_vllm_make_rates_and_the_time_to_the_first_token(kv: str) -> None:
    before = vllm(10, kv, prompt=36, generated=8, fast=2, count=2, sum=0.06)
    now = vllm(12, kv, running=3, prompt=136, generated=68, fast=2, count=6, sum=0.30)
    told = figures(before, now)
    assert (told.running, told.waiting, told.kv_cache_percent) == (3, 1, 25)
    assert (told.prompt_tokens_per_second, told.generated_tokens_per_second) == (50, 30)
    assert told.ttft_ms == pytest.approx(60) and told.ttft_p95_ms == pytest.approx(78)


def test_the_first_reading_tells_only_what_is_now() -> None:
    assert figures(None, vllm(1, prompt=36)) == Figures(running=0, waiting=1, kv_cache_percent=25)


@pytest.mark.parametrize(("prompt", "generated"), [(1, 9), (40, 1)])
def test_a_counter_that_went_back_is_an_engine_that_began_anew(prompt: int, generated: int) -> None:
    told = figures(vllm(10, prompt=36, generated=8), vllm(12, prompt=prompt, generated=generated))
    assert told == Figures(running=0, waiting=1, kv_cache_percent=25)


def test_where_no_answer_began_the_time_to_the_first_token_is_unknown_and_not_zero() -> None:
    told = figures(vllm(10, count=2, sum=0.06), vllm(12, count=2, sum=0.06))
    assert (told.ttft_ms, told.ttft_p95_ms, told.generated_tokens_per_second) == (None, None, 0)


def test_several_engines_behind_one_address_are_added_up_and_the_fullest_cache_counts() -> None:
    one = VLLM.format(
        kv="vllm:kv_cache_usage_perc", running=3.0, prompt=36.0, generated=8.0, fast=1.0, count=2.0, sum=0.5
    )
    two = reading(one + one.replace('engine="0"', 'engine="1"').replace(" 0.25", " 0.75"), 0)
    assert two and two.prompt and two.first_tokens
    assert (two.running, two.prompt.tokens, two.kv_cache_percent) == (6, 72, 75)
    assert two.first_tokens.buckets == ((0.04, 2), (0.08, 4), (float("inf"), 4))


def test_what_llama_cpp_adds_at_the_end_of_a_request_is_spread_over_the_time_it_took() -> None:
    before = llama(10, running=1, prompt=100, prompt_s=2, generated=50, generated_s=5)
    told = figures(before, llama(12, prompt=160, prompt_s=3, generated=250, generated_s=25))
    assert (told.prompt_tokens_per_second, told.generated_tokens_per_second) == (30, 10)
    assert (told.running, told.waiting) == (0, 2)
    assert (told.ttft_ms, told.kv_cache_percent) == (None, None)


def test_while_llama_cpp_works_on_a_request_its_rate_is_unknown_and_at_rest_it_is_zero() -> None:
    assert figures(llama(10), llama(12, running=1)).generated_tokens_per_second is None
    assert figures(llama(10), llama(12)).generated_tokens_per_second == 0


@pytest.mark.parametrize(
    "text",
    ["", "404 page not found", '{"error": "not found"}', "python_info 1.0\n", 'vllm:num_requests_running{x="'],
)
def test_other_replies_have_no_figures(text: str) -> None:
    assert reading(text, 0) is None


def test_a_figure_that_is_no_number_is_unknown() -> None:
    found = reading("llamacpp:requests_processing nan\nllamacpp:requests_deferred 1\n", 0)
    assert found and (found.running, found.waiting) == (None, 1)
