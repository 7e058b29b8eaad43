"""Product settings: what an operator chooses on the Settings page, for the whole installation, while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.validation import reason_of
from services.store.preferences import EVERYBODY, Preferences


class ProductSettings(BaseModel):
    """The chosen values, each with its default."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    top_k: int = Field(6, ge=1, le=100, description=N_("passages that are searched for each question"))
    passage_tokens: int = Field(0, ge=0, le=100_000, description=N_("most tokens of passages; 0: by the server"))
    answer_tokens: int = Field(400, ge=16, le=8192, description=N_("most tokens of an answer"))
    temperature: float = Field(0.7, ge=0, le=2, description=N_("temperature of plain chat; documents always use 0"))
    chunk_size: int = Field(800, ge=50, le=20_000, description=N_("characters of a chunk in new knowledge bases"))
    chunk_overlap: int = Field(100, ge=0, le=10_000, description=N_("characters that neighbouring chunks share"))
    judge: str = Field("", description=N_("server that reads each cited sentence beside its source; empty: none"))
    alert_gpu_memory_percent: int = Field(
        95, ge=10, le=100, description=N_("an alert is raised from this share of GPU memory on")
    )
    alert_temperature_celsius: int = Field(
        0,
        ge=0,
        le=120,
        description=N_("an alert is raised from this temperature of a GPU on; 0: 3 °C below where it slows down"),
    )
    alert_host_memory_percent: int = Field(
        95, ge=10, le=100, description=N_("an alert is raised from this share of the machine's memory on")
    )
    alert_disk_gib: float = Field(
        5.0, ge=0, le=100_000, description=N_("an alert is raised below this much free disk; 0: never")
    )
    alert_server_s: int = Field(
        30,
        ge=0,
        le=86_400,
        description=N_("an alert is raised when a server that should run does not for so long"),
    )
    webhook_url: str = Field("", description=N_("address that is told of alerts; empty: none"))
    reranker: str = Field("", description=N_("server that puts the best passages in order; empty: none"))
    model_folders: tuple[str, ...] = Field((), description=N_("folders in which models are looked for"))
    hf_endpoint: str = Field("https://huggingface.co", description=N_("address of Hugging Face"))
    hf_mirror_endpoint: str = Field("https://hf-mirror.com", description=N_("address of a mirror of Hugging Face"))
    modelscope_endpoint: str = Field("https://modelscope.cn", description=N_("address of ModelScope"))
    ollama_endpoint: str = Field("http://127.0.0.1:11434", description=N_("address of the Ollama server that pulls"))

    @field_validator("hf_endpoint", "hf_mirror_endpoint", "modelscope_endpoint", "ollama_endpoint")
    @classmethod
    def _address(cls, address: str) -> str:
        parts = urlsplit(address.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ValueError(N_("it is not an address such as https://huggingface.co"))
        return address.strip().rstrip("/")

    @field_validator("model_folders")
    @classmethod
    def _folders(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        kept = tuple(dict.fromkeys(folder.strip() for folder in folders if folder.strip()))
        if not all(Path(folder).expanduser().is_absolute() for folder in kept):
            raise ValueError(N_("each must be a whole path, such as /data/models"))
        return kept


def product_settings(preferences: Preferences) -> ProductSettings:
    """The settings as they are now; a stored value that is not valid any more counts as not chosen."""
    chosen = {key: value for key, value in preferences.all(EVERYBODY).items() if key in ProductSettings.model_fields}
    try:
        return ProductSettings(**chosen)
    except ValidationError as error:
        wrong = {str(fault["loc"][0]) for fault in error.errors()}
        return ProductSettings(**{key: value for key, value in chosen.items() if key not in wrong})


def choose(preferences: Preferences, **values: Any) -> ProductSettings:
    """Store values; None goes back to the default. Raises: InvalidValue, and then nothing was stored."""
    wanted = product_settings(preferences).model_dump()
    for key, value in values.items():
        wanted[key] = ProductSettings.model_fields[key].default if value is None else value
    try:
        ProductSettings(**wanted)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidValue(field=str(first["loc"][0]), value=first["input"], reason=reason_of(error)) from error
    if wanted["chunk_overlap"] >= wanted["chunk_size"]:
        reason = N_("it must be smaller than the chunk size")
        raise InvalidValue(field="chunk_overlap", value=wanted["chunk_overlap"], reason=reason)
    for key, value in values.items():
        preferences.set(EVERYBODY, key, value)
    return product_settings(preferences)
