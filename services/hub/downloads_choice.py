"""Which files of a model are wanted: one quantisation, not all of them; weights once, not in every format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.hub.local_models_facts import quantisation_of, whole_name
from services.hub.sources.protocol import RemoteFile

PREFERRED = ("Q4_K_M", "Q4_K_S", "Q4_0", "Q5_K_M", "IQ4_XS", "Q8_0")
"""What is taken of a GGUF repository where nobody has chosen: small enough, and still good."""
UNWANTED_FOLDERS = ("onnx", "openvino", "coreml", "original", "metal", "tflite", "gguf", "assets", "images")
UNWANTED_ENDS = (
    *(".h5", ".msgpack", ".ot", ".onnx", ".onnx_data", ".tflite", ".mlmodel", ".zip", ".tar.gz"),
    *(".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".mp4", ".pdf"),
)
TWICE = (".bin", ".pth", ".pt", ".ckpt")
"""Formats that run code when they are opened, and hold what the safetensors hold."""
ABOUT = ("README.md", "LICENSE*", "NOTICE*")


def safe(path: str) -> bool:
    """Whether a path that a hub tells stays within its folder."""
    parts = PurePosixPath(path).parts
    plain = path.isprintable() and "\\" not in path and "\0" not in path
    return bool(parts) and plain and not path.startswith("/") and not {"..", "."} & set(path.split("/"))


def choose(files: Sequence[RemoteFile], patterns: Sequence[str] = ()) -> list[RemoteFile]:
    """The files to load.

    Args:
        patterns: names or patterns such as `*Q5_K_M*`; without any, what an engine needs once.

    Raises: InvalidValue where nothing is left.
    """
    usable = [file for file in files if safe(file.path) and not PurePosixPath(file.path).name.startswith(".")]
    if patterns:
        chosen = [file for file in usable if any(_matches(file.path, pattern) for pattern in patterns)]
        chosen = [file for file in usable if file in chosen or _matches_any(file.path, ABOUT)] if chosen else []
    else:
        chosen = _once(usable)
    if not any(not _matches_any(file.path, ABOUT) for file in chosen):
        names = ", ".join(patterns) if patterns else "*"
        raise InvalidValue(field=N_("file"), value=names, reason=N_("the model has no such file"))
    return chosen


def quantisations(files: Iterable[RemoteFile]) -> dict[str, list[RemoteFile]]:
    """The models of a GGUF repository by what one is called by: its quantisation, or else its file."""
    found: dict[str, list[RemoteFile]] = {}
    for file in files:
        name = PurePosixPath(file.path).name
        if name.lower().endswith(".gguf") and "mmproj" not in name.lower():
            found.setdefault(quantisation_of(name) or whole_name(name), []).append(file)
    return found


def _once(files: list[RemoteFile]) -> list[RemoteFile]:
    ends = {PurePosixPath(file.path).suffix.lower() for file in files if "/" not in file.path}
    if ".safetensors" not in ends and any(file.path.lower().endswith(".gguf") for file in files):
        of = quantisations(files)
        taken = next((of[name] for name in PREFERRED if name in of), None) or _smallest(of)
        return [file for file in files if file in taken or _matches_any(file.path, ABOUT)]
    kept = [file for file in files if not _unwanted(file.path)]
    if ".safetensors" in ends:
        kept = [file for file in kept if not file.path.lower().endswith(TWICE)]
        if any(file.path.startswith("model") and file.path.endswith(".safetensors") for file in kept):
            kept = [file for file in kept if not file.path.startswith("consolidated")]
    return kept


def _smallest(of: dict[str, list[RemoteFile]]) -> list[RemoteFile]:
    return min(of.values(), key=lambda parts: sum(part.bytes or 0 for part in parts), default=[])


def _unwanted(path: str) -> bool:
    first = path.split("/", maxsplit=1)[0].lower() if "/" in path else ""
    return first in UNWANTED_FOLDERS or path.lower().endswith((*UNWANTED_ENDS, ".gguf"))


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(PurePosixPath(path).name, pattern)


def _matches_any(path: str, patterns: Sequence[str]) -> bool:
    return "/" not in path and any(fnmatchcase(path, pattern) for pattern in patterns)
