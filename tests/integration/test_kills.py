"""Killed at random moments of ingest, removal, compaction and rebuild, a base loses nothing and doubles nothing."""

from __future__ import annotations

from pathlib import Path

from bench.kills import kill_often
from services.knowledge.index.local import LocalBaseStore


def test_kills_lose_nothing(tmp_path: Path) -> None:
    assert kill_often(tmp_path, rounds=6, seed=3) == []
    store = LocalBaseStore(tmp_path)
    assert store.counts().documents > 0
    store.close()
