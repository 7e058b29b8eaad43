"""A folder of LangChain's FAISS store becomes a base, and nothing in it is run."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from services.core.errors import NameTaken
from services.core.transfer_errors import LangchainRefused
from services.knowledge.index.local import read_vectors
from services.knowledge.transfer.langchain_folder import read_folder
from tests.fakes.embedder import HashEmbedder
from tests.fakes.library_desk import DENSE, LEAVE, PUMP, Desk


class Wrapped(Embeddings):
    """The tests' embedder as LangChain knows embedders."""

    def __init__(self, turn: bool = False) -> None:
        self._turn = turn

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors = HashEmbedder().encode_passages(texts)
        return (np.ascontiguousarray(vectors[:, ::-1]) if self._turn else vectors * 3).tolist()  # type: ignore[no-any-return]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def saved(folder: Path, *, turn: bool = False) -> Path:
    texts = [PUMP, LEAVE, "A second page about valves."]
    metadata = [
        {"source": "/data/ann/manuals/pump.pdf", "page": 0, "author": "Ann", "total": 2.5, "tags": ["a", {"b": None}]},
        {"source": "C:\\docs\\休假.docx"},
        {"source": "/data/ann/manuals/pump.pdf", "page": 1},
    ]
    documents = [Document(text, metadata=facts) for text, facts in zip(texts, metadata, strict=True)]
    FAISS.from_documents(documents, Wrapped(turn)).save_local(str(folder))
    return folder


@pytest.mark.parametrize("turn", [False, True], ids=["same embedder", "other embedder"])
def test_a_folder_of_langchain_becomes_a_base(desk: Desk, tmp_path: Path, turn: bool) -> None:
    told: list[tuple[int, int]] = []
    folder = saved(tmp_path / "old", turn=turn)
    made = desk.services.transfer.langchain.run(folder, "Old", lambda done, total: told.append((done, total)))
    assert (made.documents, made.chunks, made.vectors_kept) == (2, 3, not turn)
    assert made.dropped == ("author", "tags", "total")
    assert told[-1] == (3, 3)
    assert sorted(desk.names(made.base)) == ["C:/docs/休假.docx.txt", "data/ann/manuals/pump.pdf.txt"]
    assert desk.found(made.base, "warranty of the pump") == PUMP
    hit = desk.services.knowledge.search(made.base, "second page valves", DENSE).hits[0].chunk
    assert (hit.page, hit.text) == (2, "A second page about valves.")
    assert desk.services.knowledge.verify("Old").problems == ()
    with pytest.raises(NameTaken):
        desk.services.transfer.langchain.run(folder, "Old")


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (self.path,))  # type: ignore[return-value]


def test_nothing_in_a_folder_of_langchain_is_run(desk: Desk, tmp_path: Path) -> None:
    folder, marker = saved(tmp_path / "old"), tmp_path / "touched"
    good = (folder / "index.pkl").read_bytes()
    store, rows = pickle.loads(good)
    store._dict[rows[0]].metadata["x"] = Bomb(marker)
    refused = {
        "a call": pickle.dumps((store, rows)),
        "a class of another kind": pickle.dumps((io.BytesIO, {})),
        "old protocol": pickle.dumps(Bomb(marker), protocol=0),
        "cut": good[: len(good) // 2],
        "no pickle": b"hello",
        "another thing": pickle.dumps(({"a": 1}, {0: "x"})),
        "rows that are not there": pickle.dumps((type(store)({}), {0: "x"})),
    }
    for name, content in refused.items():
        (folder / "index.pkl").write_bytes(content)
        with pytest.raises(LangchainRefused):
            desk.services.transfer.langchain.run(folder, name)
    assert not marker.exists()
    (folder / "index.pkl").write_bytes(good)
    (folder / "index.faiss").write_bytes(b"IxFI nonsense")
    with pytest.raises(LangchainRefused):
        desk.services.transfer.langchain.run(folder, "Old")
    with pytest.raises(LangchainRefused):
        desk.services.transfer.langchain.run(tmp_path / "nowhere", "Old")
    assert desk.services.knowledge.bases() == []


def test_the_vectors_of_a_folder_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = read_folder(saved(tmp_path / "old"), read_vectors)
    assert np.allclose(found.vectors, Wrapped().embed_documents([piece.text for piece in found.pieces]))
