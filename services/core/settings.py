"""The settings of one process: frozen, built once in `bootstrap`, and the only reader of the environment.

Precedence: argument > environment (`LECTERN_*`) > file (`settings.toml` in the home folder) > default. `origins` says
where each value came from.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.errors import InvalidSetting
from services.core.i18n import N_
from services.core.paths import Layout
from services.core.units import GIB, MIB
from services.core.validation import reason_of

PREFIX = "LECTERN_"


class Settings(BaseSettings):
    """What one process needs to know before it starts. Sizes are bytes, times seconds."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX)

    home: Path = Field(description=N_("folder that holds all state"))
    host: str = Field("127.0.0.1", description=N_("address that the pages listen on"))
    port: int = Field(8501, ge=1, le=65535, description=N_("first port that is tried for the pages"))
    database_url: str = Field("", description=N_("state database; empty: SQLite in the home folder"))
    embedded: bool = Field(True, description=N_("run the embedded chat model"))
    embedded_model: str = Field("", description=N_("GGUF file or URL to use instead of the packaged chat model"))
    embedded_context: int = Field(4096, ge=512, description=N_("context length of the embedded model, tokens"))
    embedded_threads: int = Field(0, ge=0, description=N_("threads of the embedded model; 0: all cores but one"))
    background_chat: bool = Field(True, description=N_("let idle chat servers make titles and summaries"))
    max_file_bytes: int = Field(200 * MIB, ge=1, description=N_("largest file that a knowledge base takes"))
    max_pages: int = Field(20_000, ge=1, description=N_("most pages that are read of one document"))
    max_characters: int = Field(20_000_000, ge=1, description=N_("most characters that are read of one document"))
    read_timeout_s: int = Field(
        300,
        ge=1,
        description=N_(
            "longest time that reading a document may take for a page; in all, as long and 0.2 s for each page"
        ),
    )
    read_memory_bytes: int = Field(
        4 * GIB, ge=256 * MIB, description=N_("most memory that reading one document may take")
    )
    folder_roots: str = Field(
        "", description=N_("folders below which knowledge bases may follow folders, separated by colons; empty: none")
    )
    max_unpacked_bytes: int = Field(
        GIB, ge=1, description=N_("most bytes that an office document or e-book may unpack to")
    )
    sample_every_s: float = Field(1.0, ge=0.2, le=60, description=N_("time between two looks at the GPUs, seconds"))
    metrics: bool = Field(False, description=N_("serve figures for Prometheus at /metrics"))
    allow_remote_listen: bool = Field(False, description=N_("allow a host other than loopback"))
    allow_private_webhooks: bool = Field(False, description=N_("allow a webhook at a private address"))

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: Any, *others: Any, **_: Any
    ) -> tuple[Any, ...]:
        """Only what `load` has gathered counts, so that every value's origin is known."""
        return (init_settings,)

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each value came from: argument, environment, file or default."""
        return self._origins

    @cached_property
    def layout(self) -> Layout:
        """Where things lie below the home folder."""
        return Layout(self.home)

    @property
    def allowed_folders(self) -> tuple[Path, ...]:
        """Below which folders of this machine bases may follow others."""
        return tuple(Path(part).expanduser() for part in self.folder_roots.split(os.pathsep) if part.strip())

    @property
    def state_url(self) -> str:
        """SQLAlchemy's address of the state database."""
        return self.database_url or f"sqlite:///{self.layout.state_db}"


def load(**arguments: Any) -> Settings:
    """Build the settings; arguments that are None count as not given.

    Raises: InvalidSetting, naming the key and where it was set.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    environment = _environment()
    home = Path(given.get("home") or environment.get("home") or platformdirs.user_data_dir("lectern")).expanduser()
    home = home.absolute()
    from_file = _file(home / "settings.toml")
    values = {**from_file, **environment, **given, "home": home}
    sources = ((N_("argument"), given), (N_("environment"), environment), (N_("file"), from_file))
    origins = {
        name: next((origin for origin, source in sources if name in source), N_("default"))
        for name in Settings.model_fields
    }
    try:
        settings = Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        origin = origins.get(key, "file" if key in from_file else "argument")
        raise InvalidSetting(key=key, origin=origin, reason=reason_of(error)) from error
    settings._origins.update(origins)
    if settings.host not in ("127.0.0.1", "localhost", "::1") and not settings.allow_remote_listen:
        raise InvalidSetting(
            key="host", origin=origins["host"], reason=N_("not a loopback address; allow_remote_listen permits it")
        )
    return settings


def inherited_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a child process: this one's, with additions."""
    return {**os.environ, **(extra or {})}


def model_caches() -> dict[str, tuple[Path, ...]]:
    """Where other tools of this user keep models: those of Hugging Face, of ModelScope, and Ollama."""
    seen, home = os.environ.get, Path.home()
    cache = Path(seen("XDG_CACHE_HOME") or home / ".cache")
    hugging_face = Path(seen("HF_HOME") or cache / "huggingface")
    ollama = [Path(seen("OLLAMA_MODELS") or home / ".ollama" / "models")]
    return {
        "hf": (Path(seen("HF_HUB_CACHE") or hugging_face / "hub").expanduser(),),
        "modelscope": (Path(seen("MODELSCOPE_CACHE") or home / ".cache" / "modelscope").expanduser(),),
        "ollama": (*(path.expanduser() for path in ollama), Path("/usr/share/ollama/.ollama/models")),
    }


def under_ssh() -> tuple[str, str] | None:
    """User and address of this machine when the shell came over SSH, for the tunnel line that is printed."""
    connection = os.environ.get("SSH_CONNECTION", "").split()
    return (os.environ.get("USER", "user"), connection[2]) if len(connection) == 4 else None


def _environment() -> dict[str, str]:
    names = Settings.model_fields
    return {name: os.environ[PREFIX + name.upper()] for name in names if os.environ.get(PREFIX + name.upper())}


def _file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(key=path.name, origin="file", reason=str(error)) from error


def locale_name() -> str:
    """The locale of the shell, as POSIX orders its variables."""
    return next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
