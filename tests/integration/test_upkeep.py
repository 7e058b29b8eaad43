"""The worker keeps what searches use up to date, and verifies and rebuilds where people wish it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.core.settings import load
from services.knowledge.embedders.registry import Embedders
from services.knowledge.index.local import LocalBaseStore, compaction
from services.knowledge.service import KnowledgeService
from services.knowledge.stores import Stores
from services.knowledge.upkeep import UpkeepKind, UpkeepState
from services.store import StateStore
from services.store.bases import BaseRecord
from services.worker.upkeep import UpkeepKeeper
from tests.contract.base_store_steps import ingest
from tests.fakes.embedder import HashEmbedder


@dataclass
class Place:
    knowledge: KnowledgeService
    stores: Stores
    keeper: UpkeepKeeper
    base: BaseRecord
    home: Path

    def turn(self) -> None:
        self.keeper.tick()
        self.keeper.join()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    settings = load(home=tmp_path)
    settings.layout.create()
    state = StateStore(settings.state_url)
    stores = Stores(settings.layout, LocalBaseStore)
    embedders = Embedders(lambda key: HashEmbedder())
    knowledge = KnowledgeService(state.bases, stores, embedders, settings=settings, machine_id="m")
    base = knowledge.create("Garden")
    yield Place(knowledge, stores, UpkeepKeeper(state.bases, stores, knowledge, "m"), base, tmp_path)
    stores.close()
    state.close()


def test_a_snapshot_is_made_when_it_is_due(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SMALL_BASE", 20)
    store = here.stores.of(here.base)
    ingest(store, "a.txt", "some words of a text " * 15)
    here.turn()
    assert store.index_state().generation == 0
    ingest(store, "b.txt", "other words of a text " * 15)
    here.turn()
    assert (store.index_state().generation, store.index_state().kind) == (1, "flat")
    here.turn()
    assert here.knowledge.index_state(here.base).generation == 1


def test_a_compaction_that_fails_is_not_tried_at_once_again(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SMALL_BASE", 5)
    store = here.stores.of(here.base)
    ingest(store, "a.txt", "some words of a text " * 15)
    snapshots = here.home / "bases" / here.base.id / "snapshots"
    snapshots.write_text("in the way")
    here.turn()
    snapshots.unlink()
    here.turn()
    assert store.index_state().generation == 0 and not snapshots.exists()


@pytest.mark.parametrize("kind", list(UpkeepKind))
def test_a_wish_is_fulfilled_and_tells_what_was_found(here: Place, kind: UpkeepKind) -> None:
    store = here.stores.of(here.base)
    ingest(store, "a.txt", "some words of a text")
    harmed = sqlite3.connect(here.home / "bases" / here.base.id / "base.sqlite3")
    harmed.execute("DELETE FROM words")
    harmed.commit()
    harmed.close()
    assert here.knowledge.upkeep(here.base) is None
    here.knowledge.wish_upkeep(here.base, kind)
    wished = here.knowledge.upkeep(here.base)
    assert wished is not None and (wished.kind, wished.state) == (kind, UpkeepState.WISHED)
    here.turn()
    done = here.knowledge.upkeep(here.base)
    assert done is not None and done.state is UpkeepState.DONE and done.report is not None
    no_words = [said for said in (*done.report.problems, *done.report.mended) if "has no words" in said]
    originals = [said for said in done.report.problems if "original" in said]
    assert len(no_words) == 1 and len(originals) == 1
    if kind is UpkeepKind.REBUILD:
        assert done.report.problems == tuple(originals) and store.search_words("words", 5).hits


def test_a_wish_that_cannot_be_fulfilled_says_why(here: Place) -> None:
    store = here.stores.of(here.base)
    ingest(store, "a.txt", "some words of a text")
    harmed = sqlite3.connect(here.home / "bases" / here.base.id / "base.sqlite3")
    harmed.execute("DROP TABLE positions")
    harmed.execute("ALTER TABLE names RENAME TO lost")
    harmed.commit()
    harmed.close()
    here.knowledge.wish_upkeep(here.base, UpkeepKind.VERIFY)
    here.turn()
    failed = here.knowledge.upkeep(here.base)
    assert failed is not None and failed.state is UpkeepState.FAILED and failed.error is not None
    assert failed.error[0] == "database_unavailable"
    here.knowledge.wish_upkeep(here.base, UpkeepKind.VERIFY)
    again = here.knowledge.upkeep(here.base)
    assert again is not None and again.state is UpkeepState.WISHED
