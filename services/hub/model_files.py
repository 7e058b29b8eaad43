"""Reading a model: a folder, a config as .json, or a GGUF file, into one value that a plan is made from."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from services.core.errors import ModelUnreadable, PathNotFound
from services.core.i18n import N_
from services.hub import config_json, gguf, gguf_model, safetensors_header
from services.hub.architecture import Architecture
from services.hub.numbers import Unreadable
from services.hub.quantisation import PLAIN, Scheme, of_config
from services.hub.safetensors_header import Stored
from services.hub.weights import parameters

MAX_CONFIG_BYTES = 16 << 20
_BLOCK = re.compile(r"blk\.(\d{1,6})\.")


@dataclass(frozen=True, slots=True)
class GgufWeights:
    """Bytes of a GGUF file's tensors: of each layer, of the embedding, and of the rest (output layer, norms)."""

    layers: tuple[int, ...]
    embedding: int
    output: int

    @property
    def bytes(self) -> int:
        """All of them."""
        return sum(self.layers) + self.embedding + self.output


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What a model's own files tell of it."""

    name: str
    format: Literal["config", "safetensors", "gguf"]
    architecture: Architecture
    parameters: int
    dtype: str | None = None
    """The type that its weights were made in, as the config names it."""
    scheme: Scheme | None = PLAIN
    """How its weights are stored; None: quantised in a way that is not known."""
    stored: Stored | None = None
    """What the headers of its weights say."""
    indexed_bytes: int | None = None
    """What an index says of weights that are not here."""
    gguf: GgufWeights | None = None

    @property
    def quantised(self) -> bool:
        """Whether its files hold quantised weights."""
        return self.scheme is None or self.scheme != PLAIN

    @property
    def bits(self) -> Fraction | None:
        """Bits of a GGUF file's average weight; None for other formats."""
        return Fraction(8 * self.gguf.bytes, self.parameters) if self.gguf and self.parameters else None


def read_model(path: Path) -> ModelFiles:
    """Read what a model's files tell. Only headers are read, never weights.

    Raises: PathNotFound, ModelUnreadable.
    """
    if not path.exists():
        raise PathNotFound(path=str(path))
    try:
        return _read(path)
    except Unreadable as error:
        raise ModelUnreadable(name=path.name or str(path), reason=error.reason) from error
    except OSError as error:
        raise ModelUnreadable(name=path.name or str(path), reason=error.strerror or str(error)) from error


def _read(path: Path) -> ModelFiles:
    if path.is_dir():
        return _folder(path)
    if path.suffix.lower() == ".gguf":
        return _gguf(path)
    return _of_config(_config(path), path.stem)


def _folder(folder: Path) -> ModelFiles:
    if not (folder / "config.json").is_file():
        found = sorted(folder.glob("*.gguf"))
        if len({re.sub(r"-\d{5}-of-\d{5}", "", path.name) for path in found}) == 1:
            return _gguf(found[0])
        if found:
            raise Unreadable(N_("it holds several GGUF files: name one of them"))
        raise Unreadable(N_("it holds no config.json"))
    return _of_config(_config(folder / "config.json"), folder.resolve().name, folder)


def _config(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise Unreadable(N_("{file} is too large"), file=path.name)
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise Unreadable(N_("{file} is not JSON"), file=path.name)
    return config


def _of_config(config: dict[str, Any], name: str, folder: Path | None = None) -> ModelFiles:
    fields = config_json.text_part(config)
    architecture = config_json.architecture_of(config)
    quantisation = fields.get("quantization_config") or config.get("compression_config")
    stored = None
    if folder:
        stored = safetensors_header.of_folder(folder, len(architecture.layers), tied=architecture.tied)
    dtype = fields.get("torch_dtype") or fields.get("dtype")
    return ModelFiles(
        name=name,
        format="safetensors" if stored else "config",
        architecture=architecture,
        parameters=stored.count if stored and not stored.quantised and not quantisation else parameters(architecture),
        dtype=dtype.removeprefix("torch.") if isinstance(dtype, str) else None,
        scheme=of_config(quantisation) if quantisation else PLAIN,
        stored=stored,
        indexed_bytes=safetensors_header.indexed_bytes(folder) if folder and not stored else None,
    )


def _gguf(path: Path) -> ModelFiles:
    header = gguf.read_header(path)
    architecture = gguf_model.architecture_of(header)
    layers, embedding, output = [0] * len(architecture.layers), 0, 0
    for tensor in header.tensors:
        block = _BLOCK.match(tensor.name)
        if block and int(block[1]) < len(layers):
            layers[int(block[1])] += tensor.bytes
        elif tensor.name.startswith("token_embd."):
            embedding += tensor.bytes
        else:
            output += tensor.bytes
    return ModelFiles(
        name=path.name,
        format="gguf",
        architecture=architecture,
        parameters=sum(tensor.elements for tensor in header.tensors),
        gguf=GgufWeights(tuple(layers), embedding, output),
    )
