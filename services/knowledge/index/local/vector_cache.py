"""Vectors of texts that were encoded before, by the embedder's fingerprint: no text is encoded twice.

One file for all bases of a home. It is derived: it may be deleted at any time, is bounded, and where it cannot be read
or written the texts are encoded as if it were empty.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from services.knowledge.embedders.fingerprint import same
from services.knowledge.embedders.protocol import Vectors

logger = logging.getLogger(__name__)

MOST_BYTES = 512 * 1024**2
ROW_BYTES = 80
"""What a row takes besides its vector."""
KEY_BYTES = 16
SCHEMA = """
    CREATE TABLE IF NOT EXISTS embedders (number INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE);
    CREATE TABLE IF NOT EXISTS vectors (noted INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL);
"""


class VectorCache:
    """Remembers vectors; the oldest are forgotten first. Thread-safe."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._numbers: dict[str, int] = {}

    def known(self, fingerprint: str, texts: Sequence[str]) -> list[Vectors | None]:
        """The vector of each text, or None where it has to be encoded."""
        with self._lock:
            try:
                connection = self._opened()
                number = self._number(connection, fingerprint)
                return [_vector(connection, _key(number, text)) for text in texts]
            except sqlite3.Error as error:
                self._give_up(error)
                return [None] * len(texts)

    def keep(self, fingerprint: str, texts: Sequence[str], vectors: Vectors) -> None:
        """Remember vectors, one for each text."""
        with self._lock:
            try:
                connection = self._opened()
                number = self._number(connection, fingerprint)
                rows = [
                    (_key(number, text), np.ascontiguousarray(row, "<f4").tobytes())
                    for text, row in zip(texts, vectors, strict=True)
                ]
                with connection:
                    connection.executemany("INSERT OR IGNORE INTO vectors (key, vector) VALUES (?, ?)", rows)
                    self._forget_oldest(connection, len(rows[0][1]) if rows else 0)
            except sqlite3.Error as error:
                self._give_up(error)

    def _forget_oldest(self, connection: sqlite3.Connection, vector_bytes: int) -> None:
        most = self._most_bytes // (vector_bytes + ROW_BYTES)
        connection.execute("DELETE FROM vectors WHERE noted <= (SELECT MAX(noted) FROM vectors) - ?", (most,))

    def _number(self, connection: sqlite3.Connection, fingerprint: str) -> int:
        """The number of the embedder with these vectors, whichever engine made its probes."""
        if fingerprint not in self._numbers:
            rows = connection.execute("SELECT number, fingerprint FROM embedders").fetchall()
            found = next((number for number, stored in rows if same(stored, fingerprint)), None)
            if found is None:
                with connection:
                    connection.execute("INSERT INTO embedders (fingerprint) VALUES (?)", (fingerprint,))
                found = connection.execute("SELECT MAX(number) FROM embedders").fetchone()[0]
            self._numbers[fingerprint] = int(found)
        return self._numbers[fingerprint]

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path, timeout=1.0, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(SCHEMA)
        return self._connection

    def _give_up(self, error: sqlite3.Error) -> None:
        """Begin anew with the next call; a damaged file is replaced."""
        logger.warning("the cache of vectors cannot be used: %s", error)
        if self._connection is not None:
            self._connection.close()
        self._connection, self._numbers = None, {}
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            for path in self._path.parent.glob(f"{self._path.name}*"):
                path.unlink(missing_ok=True)


def _key(number: int, text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(raw, digest_size=KEY_BYTES, salt=number.to_bytes(8, "little")).digest()


def _vector(connection: sqlite3.Connection, key: bytes) -> Vectors | None:
    row = connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
    return np.frombuffer(row[0], "<f4").copy() if row else None
