"""Every message that people read can be translated, and is."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po
from pydantic import BaseModel

from services.core.errors import kinds
from services.core.i18n import DEFAULT_LANGUAGE, DOMAIN, LANGUAGES, LOCALE_DIR
from services.core.phrases import SPOKEN
from services.core.settings import Settings
from services.store.product import ProductSettings
from tests.unit.sources import at, dotted, modules, nodes, relative

KEYWORDS = {"_": None, "N_": None, "translate": None, "ngettext": (1, 2), "translate_plural": (1, 2)}
TRANSLATED = [language for language in LANGUAGES if language != DEFAULT_LANGUAGE]
SHOWN = {
    *(
        "badge",
        "button",
        "caption",
        "chat_input",
        "checkbox",
        "code_editor",
        "color_picker",
        "dialog",
        "download_button",
    ),
    *("error", "expander", "feedback", "file_uploader", "form_submit_button", "header", "info", "link_button"),
    *("markdown", "menu_button", "metric", "multiselect", "number_input", "pills", "popover", "progress"),
    *("radio", "segmented_control", "select_slider", "selectbox", "slider", "spinner", "status", "subheader"),
    *("success", "tabs", "text", "text_area", "text_input", "title", "toast", "toggle", "warning", "write"),
}
"""Streamlit's calls whose first argument is read by people."""
SHOWN_BY_KEYWORD = {"page_link"}
SHOWN_WORDS = {"body", "help", "label", "placeholder", "text"}
NOT_WORDS = re.compile(r":material/\w+:|<[^>]*>|&\w+;|\{[^}]*\}|https?://\S*|`[^`]*`|Lectern")


@cache
def messages() -> dict[str | tuple[str, ...], str]:
    """Every message in the code, and where it first stands."""
    found: dict[str | tuple[str, ...], str] = {}
    for path in modules():
        for line, message, _, _ in extract_from_file("python", path, keywords=KEYWORDS):
            key = message if isinstance(message, str) else tuple(message)
            found.setdefault(key, f"{relative(path)}:{line}")
    return {key: where for key, where in found.items() if key}


@cache
def catalogue(language: str) -> Catalog:
    """The catalogue of a language as it is stored."""
    with (LOCALE_DIR / language / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as source:
        return read_po(source, locale=language, domain=DOMAIN, abort_invalid=True)


def placeholders(text: str) -> set[str]:
    """The `{names}` in a message."""
    return {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}


def forms(text: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    """The singular and, where there is one, the plural."""
    return () if text is None else (text,) if isinstance(text, str) else tuple(text)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_is_translated(language: str) -> None:
    known = catalogue(language)
    missing = {}
    for message, where in messages().items():
        entry = known.get(forms(message)[0])
        if entry is None or entry.fuzzy or not all(forms(entry.string)) or forms(entry.id) != forms(message):
            missing[where] = message
    assert missing == {}, "run `make translations`, then fill in what is empty"


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_keeps_the_placeholders(language: str) -> None:
    changed = []
    for entry in catalogue(language):
        wanted = set().union(*(placeholders(form) for form in forms(entry.id)))
        if entry.id and any(placeholders(form) - wanted or wanted - placeholders(form) for form in forms(entry.string)):
            changed.append(entry.id)
    assert changed == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_catalogue_holds_nothing_that_the_code_does_not_say(language: str) -> None:
    said = {forms(message)[0] for message in messages()}
    stale = [entry.id for entry in catalogue(language) if entry.id and forms(entry.id)[0] not in said]
    assert stale == []
    assert list(catalogue(language).obsolete) == []


@pytest.mark.parametrize("settings", [Settings, ProductSettings])
def test_what_the_settings_page_says_of_a_setting_can_be_translated(settings: type[BaseModel]) -> None:
    said = {name: field.description for name, field in settings.model_fields.items()}
    assert {name: text for name, text in said.items() if text not in messages()} == {}


def test_a_message_is_marked_as_a_whole() -> None:
    """`_(f"…")` and `_("…" + x)` would look up a text that no catalogue holds."""
    found = []
    for path in modules():
        for call in nodes(path, ast.Call):
            marked = dotted(call.func).rpartition(".")[2] in KEYWORDS
            if marked and call.args and isinstance(call.args[0], ast.JoinedStr | ast.BinOp):
                found.append(at(path, call))
    assert found == []


def test_every_message_is_found_by_the_extraction() -> None:
    """A call inside of an f-string's braces is text to the extraction: no catalogue would hold its message."""
    known = {form for message in messages() for form in forms(message)}
    lost = []
    for path in modules():
        for call in nodes(path, ast.Call):
            first = call.args[0] if dotted(call.func).rpartition(".")[2] in KEYWORDS and call.args else None
            if isinstance(first, ast.Constant) and first.value and first.value not in known:
                lost.append(f"{at(path, call)} {first.value!r}")
    assert lost == []


def test_words_in_an_error_are_parameters_that_are_translated() -> None:
    """`found=N_("…")` would be shown as it is; `found=phrase(N_("…"))` is translated with the message."""
    errors, lost = {kind.__name__ for kind in kinds()}, []
    for path in modules():
        for call in (call for call in nodes(path, ast.Call) if dotted(call.func) in errors):
            marked = [
                word for word in call.keywords if isinstance(word.value, ast.Call) and dotted(word.value.func) == "N_"
            ]
            lost += [f"{at(path, word.value)} {word.arg}" for word in marked if word.arg not in SPOKEN]
    assert lost == []


def literals(node: ast.expr) -> Iterator[str]:
    """The text that an argument shows without a catalogue having been asked."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield " ".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
        case ast.BinOp(left=left, right=right):
            yield from literals(left)
            yield from literals(right)
        case ast.IfExp(body=body, orelse=orelse):
            yield from literals(body)
            yield from literals(orelse)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            for element in elements:
                yield from literals(element)


def shown_arguments(call: ast.Call) -> Iterator[ast.expr]:
    """The arguments of a Streamlit call that people read."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in SHOWN | SHOWN_BY_KEYWORD:
        return
    if dotted(call.func.value).lower().lstrip("_") in {"logger", "log", "logging"}:
        return
    if call.func.attr in SHOWN:
        yield from call.args[:1]
    yield from (word.value for word in call.keywords if word.arg in SHOWN_WORDS)


def untranslated(path: Path) -> Iterator[tuple[ast.expr, str]]:
    """The words of its own that a page shows and no catalogue translates."""
    for call in nodes(path, ast.Call):
        for argument in shown_arguments(call):
            for text in literals(argument):
                if re.search(r"[^\W\d_]{2,}", NOT_WORDS.sub(" ", text)):
                    yield argument, text


def test_pages_show_no_words_that_are_not_translated() -> None:
    pages = [path for path in modules() if not relative(path).startswith("services/")]
    assert [f"{at(path, node)} {text!r}" for path in pages for node, text in untranslated(path)] == []


def test_the_scan_finds_an_untranslated_word(tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    page.write_text(
        'st.button("Save", icon=":material/save:")\n'
        'column.write(f"{n} files")\n'
        'st.text_input(_("Name"), help="How to call it")\n'
        'st.caption(":material/info: 12")\n'
        'logger.info("started")\n'
        'st.tabs([_("One"), "Two"])\n'
        'st.page_link("pages/1_Chat.py", label="Go")\n',
        "utf-8",
    )
    assert [text for _, text in untranslated(page)] == ["Save", " files", "How to call it", "Two", "Go"]
