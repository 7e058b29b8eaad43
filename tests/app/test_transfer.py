"""Knowledge: whole bases in and out, and the folders that a base follows."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from services.app import Services
from services.worker.folders import FolderKeeper
from tests.app.pages import field, opened, speak, words
from ui import wiring


def chosen(app: AppTest, label: str, *, run: bool = True) -> AppTest:
    """Choose an entry of the menu of a base."""
    menu = app.menu_button[0]
    menu.click(next(option for option in menu.options if option.endswith(label)))
    if run:
        app.run()
        assert not app.exception
    return app


def confirm(app: AppTest, label: str, entry: str) -> AppTest:
    """Press a button of the dialog that an entry has opened: the tester runs whole pages, so it is opened again."""
    chosen(app, entry, run=False)
    [button for button in app.button if button.label == label][-1].click()
    app.run()
    assert not app.exception
    return app


def test_an_exported_base_comes_in_again_under_another_name(services: Services, tmp_path: Path) -> None:
    base = services.knowledge.create("Garden")
    services.knowledge.add(base, "pond.txt", io.BytesIO(b"It holds koi."))
    archive = services.transfer.archives.write(base, tmp_path / "garden.zip").path.read_bytes()
    app = chosen(opened("2_Knowledge"), "Import")
    app.file_uploader[-1].upload("garden.zip", archive)
    field(app, "Name").set_value("Pond")
    confirm(app, "Import", "Import")
    assert sorted(summary.base.name for summary in services.knowledge.bases()) == ["Garden", "Pond"]
    assert "pond.txt" in words(app)


def test_an_import_that_fails_says_why_in_the_dialog(services: Services) -> None:
    services.knowledge.create("Garden")
    app = chosen(opened("2_Knowledge"), "Import")
    app.file_uploader[-1].upload("garden.zip", b"no zip")
    confirm(app, "Import", "Import")
    assert "no zip file" in words(app).partition('role="alert"')[2]
    assert len(services.knowledge.bases()) == 1


def test_the_files_of_a_zip_go_in_and_those_that_cannot_are_named(services: Services) -> None:
    base = services.knowledge.create("Garden")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("plants/pond.txt", "It holds koi.")
        archive.writestr("../evil.txt", "x")
    app = opened("2_Knowledge")
    app.file_uploader[0].upload("all.zip", packed.getvalue()).run()
    assert [row.name for row in services.knowledge.documents(base)] == ["plants/pond.txt"]
    assert "../evil.txt" in words(app).partition('role="alert"')[2]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that may be followed."""
    monkeypatch.setenv("LECTERN_FOLDER_ROOTS", str(tmp_path / "shelf"))
    wiring.close()
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "pond.txt").write_text("It holds koi.")
    return tmp_path / "shelf"


def test_a_folder_is_followed_from_the_page(shelf: Path) -> None:
    services = wiring.services()
    base = services.knowledge.create("Garden")
    app = chosen(opened("2_Knowledge"), "Folders")
    field(app, "Folder").set_value(str(shelf))
    confirm(app, "Follow", "Folders")
    assert str(shelf) in words(app) and "not looked at yet" in words(app)
    keeper = FolderKeeper(services.transfer.folders, services.machine_id)
    keeper.tick()
    while services.transfer.folders.states(base)[0].found is None:
        keeper.tick()
    keeper.close()
    assert "1 new" in words(chosen(app, "Folders"))
    assert [row.name for row in services.knowledge.documents(base)] == ["pond.txt"]


def test_where_no_folder_is_allowed_the_dialog_says_how_in_chinese(services: Services) -> None:
    services.knowledge.create("Garden")
    app = chosen(speak(opened("2_Knowledge"), "zh_CN"), "文件夹")
    assert "LECTERN_FOLDER_ROOTS" in app.code[-1].value
