"""Opening a page without a browser, and reading what stands on it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from services.app import Services
from services.knowledge.ingest import Ingest
from services.knowledge.loaders.reader import Reader
from services.store.bases import BaseRecord
from tests.fakes.walk import walk

HOME = str(Path(__file__).resolve().parents[2] / "Home.py")
PATIENCE_S = 60
MAIN = sys.modules["__main__"]


def opened(page: str = "", **query: str) -> AppTest:
    """The app at Home, or at one of its pages, as a visitor finds it."""
    app = AppTest.from_file(HOME, default_timeout=PATIENCE_S).run()
    if page:
        app.switch_page(f"pages/{page}.py")
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """All HTML that was drawn, as one text."""
    return "\n".join(element.proto.body for element in app.get("html"))


def labels(app: AppTest) -> list[str]:
    """What stands on the buttons."""
    return [button.label for button in app.button]


def press(app: AppTest, label: str, *, within: str = "") -> AppTest:
    """Press a button.

    Args:
        within: the label of the button that has opened the dialog in which this one stands. The tester always runs
            whole pages, and a dialog is drawn by a run in which its opener was pressed.
    """
    if within:
        next(button for button in app.button if button.label == within).click()
    [button for button in app.button if button.label == label][-1 if within else 0].click()
    app.run()
    assert not app.exception
    return app


def field(app: AppTest, label: str) -> Any:
    """The field of this label."""
    fields = [*app.text_input, *app.number_input, *app.selectbox]
    return next(field for field in fields if field.label == label)


def parameter(app: AppTest, name: str) -> str:
    """A parameter of the page's address; the tester has it as a list until the page has changed it."""
    value = app.query_params[name]
    return str(value[0] if isinstance(value, list) else value)


def speak(app: AppTest, language: str) -> AppTest:
    """Choose a language in the menu."""
    app.sidebar.selectbox[0].set_value(language)
    app.run()
    assert not app.exception
    return app


def put(services: Services, base: BaseRecord, reader: Reader, **files: bytes) -> None:
    """Add files, `pond_md` for pond.md, and walk every wish to its end, as the worker does."""
    for name, content in files.items():
        services.knowledge.add(base, ".".join(name.rsplit("_", 1)), io.BytesIO(content))
    settle(services, base, reader)


def settle(services: Services, base: BaseRecord, reader: Reader) -> None:
    """Walk every wish of a base to its end."""
    # Streamlit's tester leaves its script as `__main__`: the reader's child process would run that.
    sys.modules["__main__"] = MAIN
    ingest = Ingest(services.stores, reader, services.embedders)
    for key in services.stores.of(base).pending():
        walk(ingest, base, key)
