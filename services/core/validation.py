"""Why pydantic refused a value, in words that can be translated."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from services.core.i18n import N_
from services.core.phrases import phrase

_WHOLE, _NUMBER, _TRUTH = N_("it must be a whole number"), N_("it must be a number"), N_("it must be true or false")
REASONS = {
    "greater_than_equal": N_("it must be at least {ge}"),
    "less_than_equal": N_("it must be at most {le}"),
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "string_type": N_("it must be text"),
    "string_too_short": N_("it is too short"),
    "string_pattern_mismatch": N_("it does not have the form that its description asks for"),
    "path_type": N_("it must be a path"),
    "missing": N_("it is missing"),
    "extra_forbidden": N_("there is no such setting"),
}
"""What is said of each kind of fault that our models can meet."""


def reason_of(error: ValidationError) -> str | dict[str, Any]:
    """The `reason` for the first fault that pydantic has found; one that has no words of ours keeps pydantic's."""
    fault = error.errors(include_input=False)[0]
    if fault["type"] == "value_error":  # raised by a validator of ours
        return str(fault["ctx"]["error"])
    text = REASONS.get(fault["type"])
    if text is None:
        return fault["msg"]
    bounds = {key: fault["ctx"][key] for key in ("ge", "le") if key in fault.get("ctx", {})}
    whole = {key: int(bound) if bound == int(bound) else bound for key, bound in bounds.items()}
    return phrase(text, **whole) if whole else text
