"""Flags of `server create` become fields of the engine's spec; the rest is the engine's own."""

from __future__ import annotations

import pytest

from services.cli.choices import choices_of
from services.core.errors import InvalidValue
from services.serving.engines.vllm import VllmSpec


def test_flags_that_fields_are_called_become_choices_and_all_others_stay_in_their_order() -> None:
    words = "--max-model-len 8192 --swap-space 4 --gpus 0,1 --enforce-eager --env A=1=2 --env B= --seed=7"
    choices = choices_of(VllmSpec, words.split())
    assert choices == {
        "max_model_len": "8192",
        "gpus": ["0", "1"],
        "enforce_eager": True,
        "env": {"A": "1=2", "B": ""},
        "extra_args": ("--swap-space", "4", "--seed=7"),
    }
    spec = VllmSpec.of({"model": "m", **choices})
    assert (spec.max_model_len, spec.gpus, spec.extra_args) == (8192, (0, 1), ("--swap-space", "4", "--seed=7"))


def test_a_switch_can_be_turned_off_and_a_value_may_follow_an_equals_sign() -> None:
    assert choices_of(VllmSpec, ["--no-restart", "--dtype=half"]) == {"restart": False, "dtype": "half"}
    assert choices_of(VllmSpec, ["--no-dtype"]) == {"extra_args": ("--no-dtype",)}


def test_a_flag_without_its_value_is_named() -> None:
    with pytest.raises(InvalidValue) as caught:
        choices_of(VllmSpec, ["--enforce-eager", "--max-model-len"])
    assert caught.value.params["field"] == "max_model_len"
