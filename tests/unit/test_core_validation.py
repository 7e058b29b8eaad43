"""Why a value was refused is said in the reader's language."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.core.errors import InvalidValue
from services.core.validation import reason_of


class Sheet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int = Field(5, ge=2, le=9)
    share: float = Field(0.5, ge=0, le=1.5)
    wanted: bool = True
    name: str = Field("x", min_length=1, pattern="^[a-z]*$", max_length=3)


def refused(**values: Any) -> InvalidValue:
    with pytest.raises(ValidationError) as caught:
        Sheet(**values)
    return InvalidValue(field="x", value="y", reason=reason_of(caught.value))


@pytest.mark.parametrize(
    ("values", "english"),
    [
        ({"count": 1}, "it must be at least 2"),
        ({"count": 10}, "it must be at most 9"),
        ({"count": "many"}, "it must be a whole number"),
        ({"count": 2.5}, "it must be a whole number"),
        ({"share": "half"}, "it must be a number"),
        ({"share": -1}, "it must be at least 0."),
        ({"share": 2}, "it must be at most 1.5"),
        ({"wanted": "perhaps"}, "it must be true or false"),
        ({"name": 3}, "it must be text"),
        ({"name": ""}, "it is too short"),
        ({"other": 1}, "there is no such setting"),
    ],
)
def test_a_fault_is_told_in_both_languages(values: dict[str, Any], english: str) -> None:
    error = refused(**values)
    assert english in error.render("en").message
    assert english.rstrip(".") not in error.render("zh_CN").message


def test_an_unknown_fault_keeps_the_words_of_the_library() -> None:
    assert "String should have at most 3" in refused(name="abcd").render("zh_CN").message
