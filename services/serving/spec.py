"""Launch specs: what a person chooses about a server, as it is kept in its row.

The fields of an engine's spec are its form on the page and its flags on the command line: each has its meaning as
description, and `advanced` in its extras where few people need it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_serializer, field_validator

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.validation import reason_of

S = TypeVar("S", bound="Spec")

ADVANCED: dict[str, Any] = {"advanced": True}
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET_NAMES = ("TOKEN", "KEY", "SECRET", "PASSWORD")
OURS = ("LECTERN_", "SPT_NOENV")


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


class ManagedSpec(Spec):
    """What can be chosen about every server that Lectern starts."""

    model: str = Field(min_length=1, description=N_("folder, file or hub id of the model"))
    served_model_name: str = Field("", description=N_("name that it is asked by; empty: the last part of the model's"))
    gpus: tuple[int, ...] = Field((), description=N_("numbers of the GPUs that it may use; empty: all"))
    env: dict[str, str] = Field(
        {}, description=N_("further environment, such as NCCL settings"), json_schema_extra=ADVANCED
    )
    extra_args: tuple[str, ...] = Field(
        (), description=N_("further options of the engine, as on its command line"), json_schema_extra=ADVANCED
    )
    restart: bool = Field(True, description=N_("start it again when it fails"), json_schema_extra=ADVANCED)
    idle_minutes: int = Field(
        0,
        ge=0,
        le=7 * 24 * 60,
        description=N_("unload it after so many minutes without a question; it starts again at the next one; 0: never"),
        json_schema_extra=ADVANCED,
    )

    @field_validator("env")
    @classmethod
    def _variables(cls, env: dict[str, str]) -> dict[str, str]:
        for name, value in env.items():
            if not VARIABLE.fullmatch(name) or "\0" in value:
                raise ValueError(N_("it is not the name of an environment variable"))
            if name.startswith(OURS):
                raise ValueError(N_("this variable is Lectern's own"))
        return env

    @property
    def served_name(self) -> str:
        """The name that the model is asked by."""
        return self.served_model_name or self.model.rstrip("/").rsplit("/", 1)[-1]

    def environment(self) -> dict[str, str]:
        """What is added to the environment: the chosen GPUs, in the order in which the driver numbers them."""
        if not self.gpus:
            return dict(self.env)
        # CUDA numbers cards by speed unless told otherwise; NVML, and so every page, by bus.
        cards = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(map(str, self.gpus))}
        return {**cards, **self.env}

    def warnings(self) -> list[str]:
        """What must be said of the choices that were made, as templates."""
        extras = ((getattr(self, name), field.json_schema_extra) for name, field in type(self).model_fields.items())
        return [
            str(extra["warning"]) for value, extra in extras if value and isinstance(extra, dict) and "warning" in extra
        ]

    def secrets(self) -> tuple[str, ...]:
        """Values that nobody may see."""
        fields = [value.get_secret_value() for _, value in self if isinstance(value, SecretStr)]
        named = [value for name, value in self.env.items() if any(word in name.upper() for word in SECRET_NAMES)]
        return tuple(value for value in (*fields, *named) if value)


class RemoteSpec(Spec):
    """A server that somebody else runs."""

    api_key: SecretStr = SecretStr("")

    @field_serializer("api_key")
    def _stored(self, key: SecretStr) -> str:
        return key.get_secret_value()
