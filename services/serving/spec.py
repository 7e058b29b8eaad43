"""Launch specs: what a person chooses about a server, as it is kept in its row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_serializer

from services.core.errors import InvalidValue
from services.core.validation import reason_of

S = TypeVar("S", bound="Spec")


class Spec(BaseModel):
    """A frozen set of choices; unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def of(cls: type[S], row: Mapping[str, Any]) -> S:
        """The spec that a row holds. Raises: InvalidValue, naming the field."""
        try:
            return cls.model_validate(dict(row))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise InvalidValue(field=field, value=str(row.get(field, "")), reason=reason_of(error)) from error

    def row(self) -> dict[str, Any]:
        """As it is stored."""
        return self.model_dump(mode="json")


class LlamaCppSpec(Spec):
    """A GGUF file served by llama.cpp. `context` is what one request has, in tokens."""

    model_path: Path
    served_model_name: str = Field(min_length=1)
    context: int = Field(4096, ge=256)
    parallel: int = Field(2, ge=1, description="requests that are answered at a time")
    threads: int = Field(0, ge=0, description="0: all cores but one")


class RemoteSpec(Spec):
    """A server that somebody else runs."""

    api_key: SecretStr = SecretStr("")

    @field_serializer("api_key")
    def _stored(self, key: SecretStr) -> str:
        return key.get_secret_value()
