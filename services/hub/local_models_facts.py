"""What is known of one model that lies on a disk: read from its own files, never from its name alone."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from services.core.errors import AppError, ModelUnreadable
from services.core.i18n import N_
from services.core.phrases import phrase
from services.hub import gguf, gguf_model
from services.hub.model_files import read_model
from services.hub.numbers import Unreadable

Format = Literal["safetensors", "gguf", "pytorch"]
Use = Literal["chat", "embedder", "reranker"]

CARD_BYTES = 1 << 16
MAX_JSON_BYTES = 64 << 20
_CARD = re.compile(r"\A---\s*\n(.*?)\n---", re.DOTALL)
_LICENCE = re.compile(r"^license(_name)?:[ \t]*['\"]?([^'\"\n#]+?)['\"]?[ \t]*$", re.MULTILINE)
_PART = re.compile(r"-(\d{5})-of-(\d{5})(?=\.)")
_QUANTISATION = re.compile(
    r"(?:^|[-._])((?:UD-)?(?:I?Q\d\w*|TQ\d\w*|B?F(?:16|32)|FP16|MXFP4\w*))(?=[-._]|$)", re.IGNORECASE
)
FILE_TYPES = {
    **{0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S"},
    **{12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K"},
    **{19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL"},
    **{26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 38: "MXFP4"},
}
"""`general.file_type` of GGUF files (llama.cpp, enum llama_ftype)."""
POOLING_RANK = 4
"""The `pooling_type` of a reranker (llama.cpp, enum llama_pooling_type)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model's files tell. Unknown is None; `error` says why it cannot be used."""

    format: Format | None = None
    family: str | None = None
    use: Use | None = None
    parameters: int | None = None
    quantisation: str | None = None
    context: int | None = None
    licence: str | None = None
    error: AppError | None = None


def of_folder(folder: Path) -> Facts:
    """The facts of a folder with a config.json."""
    licence = licence_of(folder)
    try:
        config = _json(folder / "config.json") or {}
        missing = _missing(folder)
        if missing:
            raise Unreadable(
                N_("{count} of its files are missing, such as {file}"), count=len(missing), file=missing[0]
            )
        form = _format(folder)
        if form is None:
            raise Unreadable(N_("it holds no weights"))
        read = read_model(folder)
        for path in sorted(folder.glob("*.safetensors")):
            _check_length(path)
    except Unreadable as error:
        return Facts(licence=licence, error=ModelUnreadable(name=folder.name, reason=error.reason))
    except AppError as error:
        return Facts(licence=licence, error=error)
    except OSError as error:
        return Facts(licence=licence, error=_unreadable(folder, error))
    return Facts(
        format=form,
        family=read.architecture.model_type or None,
        use=_use(folder, config),
        parameters=read.parameters,
        quantisation=None if read.scheme is None else read.scheme.name if read.quantised else read.dtype,
        context=read.architecture.context,
        licence=licence,
    )


def of_gguf(path: Path, name: str = "") -> Facts:
    """The facts of a GGUF file, whatever it is called on the disk."""
    try:
        header = gguf.read_header(path)
        architecture = gguf_model.architecture_of(header)
        held, wanted = sum(part.stat().st_size for part in parts_of(path)), sum(one.bytes for one in header.tensors)
        if held < wanted:
            raise Unreadable(N_("it is cut short"))
    except Unreadable as error:
        return Facts("gguf", error=ModelUnreadable(name=name or path.name, reason=error.reason))
    except OSError as error:
        return Facts("gguf", error=_unreadable(path, error))
    told = header.metadata
    licence, kind = told.get("general.license"), told.get("general.file_type")
    pooling = told.get(f"{architecture.model_type}.pooling_type")
    pooled = pooling is not None or architecture.model_type in ("bert", "nomic-bert")
    return Facts(
        format="gguf",
        family=architecture.model_type,
        use="reranker" if pooling == POOLING_RANK else "embedder" if pooled else "chat",
        parameters=sum(tensor.elements for tensor in header.tensors),
        quantisation=(FILE_TYPES.get(kind) if isinstance(kind, int) else None) or quantisation_of(name or path.name),
        context=architecture.context,
        licence=licence if isinstance(licence, str) else licence_of(path.parent),
    )


def quantisation_of(file_name: str) -> str | None:
    """The quantisation that a GGUF file's name tells, such as Q4_K_M."""
    found = _QUANTISATION.findall(file_name.removesuffix(".gguf"))
    return found[-1].upper() if found else None


def whole_name(file_name: str) -> str:
    """A file's name without the number of its part."""
    return _PART.sub("", file_name)


def parts_of(path: Path) -> list[Path]:
    """The files that a GGUF model is split into."""
    named = _PART.search(path.name)
    if not named:
        return [path]
    return sorted(other for other in path.parent.glob("*.gguf") if whole_name(other.name) == whole_name(path.name))


def is_first_part(file_name: str) -> bool:
    """Whether a file is a whole model or the first part of one."""
    named = _PART.search(file_name)
    return named is None or int(named[1]) == 1


def licence_of(folder: Path) -> str | None:
    """The licence that a model card names in its front matter."""
    try:
        with (folder / "README.md").open("rb") as file:
            card = _CARD.match(file.read(CARD_BYTES).decode("utf-8", "replace").replace("\r\n", "\n"))
    except OSError:
        return None
    named = {bool(more): value.strip() for more, value in _LICENCE.findall(card[1])} if card else {}
    return named.get(True) or named.get(False)


def _json(path: Path) -> dict[str, Any] | None:
    if not path.is_file() or path.stat().st_size > MAX_JSON_BYTES:
        return None
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise Unreadable(N_("{file} is not JSON"), file=path.name) from None
    return found if isinstance(found, dict) else None


def _missing(folder: Path) -> list[str]:
    """Files that an index of the weights names and that are not here."""
    index = _json(folder / "model.safetensors.index.json") or {}
    weights = index.get("weight_map")
    names: Iterable[Any] = weights.values() if isinstance(weights, dict) else ()
    return sorted({str(name) for name in names if not (folder / Path(str(name)).name).is_file()})


def _format(folder: Path) -> Format | None:
    if any(folder.glob("*.safetensors")):
        return "safetensors"
    return "pytorch" if any(folder.glob("*.bin")) or any(folder.glob("*.pth")) else None


def _check_length(path: Path) -> None:
    """Whether all is there that a header speaks of; what was cut short has a good header. Raises: Unreadable."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(min(length, size)))
        ends = [int(entry["data_offsets"][1]) for key, entry in header.items() if key != "__metadata__"]
    except (struct.error, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise Unreadable(N_("the header of {file} is damaged"), file=path.name) from None
    if 8 + length + max(ends, default=0) > size:
        raise Unreadable(N_("{file} is cut short"), file=path.name)


def _use(folder: Path, config: dict[str, Any]) -> Use | None:
    names = config.get("architectures")
    first = str(names[0]) if isinstance(names, list) and names else ""
    if "SequenceClassification" in first:
        return "reranker"
    if (folder / "modules.json").is_file() or first.endswith(("BertModel", "RobertaModel", "MPNetModel")):
        return "embedder"
    return "chat" if first.endswith(("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")) else None


def _unreadable(path: Path, error: OSError) -> AppError:
    reason = phrase(N_("it cannot be opened ({reason})"), reason=error.strerror or str(error))
    return ModelUnreadable(name=path.name, reason=reason)
