"""The fields of an engine's spec as widgets: what each means is its help, and what they hold becomes choices."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from services.app import Services
from services.core.errors import InvalidValue
from services.core.i18n import N_
from services.core.units import bytes_text
from services.gpu.readings import GpuReading
from services.hub.local_models import LocalModel
from services.serving.engines.protocol import MASK
from services.serving.spec import SECRET_NAMES, ManagedSpec
from ui.i18n import _
from ui.text import markdown_text

ANOTHER = ""
"""Instead of a model on the disk: one whose path or id is typed."""
WIDE = ("model", "served_model_name", "models", "gpus", "env", "extra_args", "program", "identity_file")
SMALLEST_SHARE = 0.01
VARIABLE = "NCCL_DEBUG=INFO"
"""The example of an environment variable."""
FORMATS = {"llama.cpp": ("gguf",), "vllm": ("safetensors", "pytorch"), "transformers": ("safetensors", "pytorch")}
TYPED_ONLY = frozenset({"ssh"})
"""Engines whose model is no file of this machine."""


@dataclass(slots=True)
class Fields:
    """What the widgets hold: choices, texts that cannot be read as such, and the place beneath each widget."""

    choices: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, InvalidValue] = field(default_factory=dict)
    places: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Form:
    """One form: what it is about, and the names of its widgets in the session."""

    services: Services
    engine: str
    spec: type[ManagedSpec]
    stored: Mapping[str, Any]
    prefix: str

    def key(self, name: str) -> str:
        """The session's name for a field's widget."""
        return f"{self.prefix}.{self.engine}.{name}"

    def default(self, name: str) -> Any:
        """What a field holds at first; a secret is never shown again."""
        known = self.spec.model_fields[name]
        if known.annotation is SecretStr:
            return ""
        return self.stored.get(name, "" if known.is_required() else known.default)

    def draw(self) -> Fields:
        """All fields: those that few people need in an expander, shut."""
        drawn = Fields()
        common: list[tuple[str, FieldInfo]] = []
        further: list[tuple[str, FieldInfo]] = []
        for name, known in self.spec.model_fields.items():
            extra = known.json_schema_extra
            (further if isinstance(extra, dict) and extra.get("advanced") else common).append((name, known))
        # What has to be filled in comes first.
        self._draw_all(sorted(common, key=lambda pair: not pair[1].is_required()), drawn)
        with st.expander(_("Further settings")):
            self._draw_all(further, drawn)
        return drawn

    def _draw_all(self, fields: Sequence[tuple[str, FieldInfo]], drawn: Fields) -> None:
        free: list[Any] = []
        for name, known in fields:
            if name in WIDE:
                free, cell = [], st.container(gap="xsmall")
            else:
                free = free or list(st.columns(2, vertical_alignment="bottom"))
                cell = free.pop(0)
            with cell:
                self._draw(name, known, drawn)
                drawn.places[name] = st.container()

    def _draw(self, name: str, known: FieldInfo, drawn: Fields) -> None:
        described = known.description or ""
        words = {"label": f"`{name}`", "help": markdown_text(_(described)), "key": self.key(name)}
        special = {"model": self._model, "gpus": self._gpus}.get(name)
        read: Callable[[Mapping[str, Any]], Any] = special or WIDGETS.get(_kind(known), self._text)
        if special is None and _kind(known) is not SecretStr:
            st.session_state.setdefault(words["key"], _shown(self.default(name)))
        try:
            value = read({**words, "known": known, "stored": self.stored.get(name)})
        except InvalidValue as error:
            drawn.faults[name] = error
            return
        if value is not None or not known.is_required():
            drawn.choices[name] = value
        if known.annotation is SecretStr and not value and self.stored:
            del drawn.choices[name]  # left empty: the stored one stays
        extra = known.json_schema_extra
        if value and isinstance(extra, dict) and extra.get("warning"):
            st.warning(_(str(extra["warning"])), icon=":material/warning:")

    @staticmethod
    def _text(words: Mapping[str, Any]) -> str:
        return str(st.text_input(words["label"], key=words["key"], help=words["help"])).strip()

    def _model(self, words: Mapping[str, Any]) -> str:
        models = self._models()
        titles = {str(model.path): _title(model, models) for model in models}
        stored, typed = str(self.default("model")), f"{words['key']}.typed"
        st.session_state.setdefault(typed, "" if stored in titles else stored)
        help = words["help"]
        if titles:
            first = next(iter(titles)) if not stored else stored if stored in titles else ANOTHER
            titles[ANOTHER] = _("another one: type its path or hub id")
            st.session_state.setdefault(words["key"], first)
            chosen = st.selectbox(
                _("Model"), list(titles), format_func=titles.__getitem__, key=words["key"], help=words["help"]
            )
            if chosen != ANOTHER:
                return str(chosen)
            help = None
        label = _("Path or hub id") if self.engine not in TYPED_ONLY else _("Model")
        return str(st.text_input(label, key=typed, help=help)).strip()

    def _models(self) -> list[LocalModel]:
        """The models on the disk that go with the engine."""
        if self.engine in TYPED_ONLY or self.engine == "ollama":
            return []
        found = [model for model in self.services.models.list() if not model.facts.error and model.source != "ollama"]
        if self.engine == "embeddings":
            return [model for model in found if model.facts.use in ("embedder", "reranker")]
        return [model for model in found if model.facts.format in FORMATS.get(self.engine, (model.facts.format,))]

    def _gpus(self, words: Mapping[str, Any]) -> list[int]:
        here = {gpu.index: gpu for gpu in self.services.gpus.now().gpus}
        options = sorted({*here, *self.default("gpus")})
        if not options or self.engine in TYPED_ONLY:
            return []
        st.session_state.setdefault(words["key"], list(self.default("gpus")))
        return list(
            st.multiselect(
                _("GPUs"),
                options,
                format_func=lambda index: _gpu_title(index, here.get(index)),
                key=words["key"],
                help=words["help"],
                placeholder=_("all of them"),
            )
        )


def _title(model: LocalModel, models: Sequence[LocalModel]) -> str:
    namesakes = [other for other in models if other.name == model.name]
    told = [model.name, str(model.path) if len(namesakes) > 1 else None, bytes_text(model.bytes)]
    return " · ".join(part for part in told if part)


def _gpu_title(index: int, gpu: GpuReading | None) -> str:
    if gpu is None:
        return _("GPU {index} (not found)", index=index)
    free = _("{size} free", size=bytes_text(gpu.free_bytes))
    return " · ".join(str(part) for part in (index, gpu.name, free) if part is not None)


def _kind(known: FieldInfo) -> Any:
    """What a field holds: the type, or its generic part."""
    kinds = [kind for kind in get_args(known.annotation) if kind is not type(None)]
    origin = get_origin(known.annotation)
    if origin in (tuple, dict, Literal):
        return origin
    return kinds[0] if kinds else known.annotation


def _shown(value: Any) -> Any:
    """A value as its widget holds it: lists and variables in the form of a command line, secret values masked."""
    if isinstance(value, Mapping):
        return "\n".join(shlex.quote(f"{name}={_masked(name, content)}") for name, content in value.items())
    if isinstance(value, (tuple, list)):
        return shlex.join(map(str, value))
    return value


def _masked(name: str, content: str) -> str:
    return MASK if content and any(word in name.upper() for word in SECRET_NAMES) else content


def _check(words: Mapping[str, Any]) -> bool:
    return bool(st.checkbox(words["label"], key=words["key"], help=words["help"]))


def _choice(words: Mapping[str, Any]) -> Any:
    options = list(get_args(words["known"].annotation))
    titles = {option: str(option) or _("its own choice") for option in options}
    return st.selectbox(words["label"], options, format_func=titles.__getitem__, key=words["key"], help=words["help"])


def _number(words: Mapping[str, Any]) -> Any:
    known, whole = words["known"], _kind(words["known"]) is int
    found = {type(one).__name__: one for one in known.metadata}
    least = found["Ge"].ge if "Ge" in found else SMALLEST_SHARE if "Gt" in found else None
    most = found["Le"].le if "Le" in found else None
    cast = int if whole else float
    bounds: dict[str, Any] = {
        "min_value": None if least is None else cast(least),
        "max_value": None if most is None else cast(most),
        "step": cast(1) if whole else SMALLEST_SHARE,
        **({"value": None} if known.default is None else {}),
    }
    return st.number_input(words["label"], key=words["key"], help=words["help"], **bounds)


def _secret(words: Mapping[str, Any]) -> str:
    stored = _("stored") if words["stored"] else None
    return st.text_input(
        words["label"], type="password", key=words["key"], help=words["help"], placeholder=stored
    ).strip()


def _parts(words: Mapping[str, Any]) -> list[str]:
    text = st.text_area(words["label"], key=words["key"], help=words["help"], height=68)
    return _split(text, words["label"].strip("`"))


def _variables(words: Mapping[str, Any]) -> dict[str, str]:
    text = st.text_area(words["label"], key=words["key"], help=words["help"], height=68, placeholder=VARIABLE)
    found, stored = {}, words["stored"] or {}
    for part in _split(text, "env"):
        name, sign, content = part.partition("=")
        if not sign:
            raise InvalidValue(field="env", value=part, reason=N_("each is a NAME=value"))
        found[name] = stored.get(name, content) if content == MASK else content
    return found


def _split(text: str, name: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidValue(field=name, value=text, reason=N_("a quotation mark is not closed")) from error


WIDGETS: Mapping[Any, Callable[[Mapping[str, Any]], Any]] = {
    bool: _check,
    int: _number,
    float: _number,
    Literal: _choice,
    SecretStr: _secret,
    tuple: _parts,
    dict: _variables,
}
