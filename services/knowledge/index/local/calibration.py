"""What the cosines of a base's embedder are worth, measured on the base's own vectors."""

from __future__ import annotations

import json
import sqlite3

from services.knowledge.search_types import CosineScale


def cosine_scale(connection: sqlite3.Connection) -> CosineScale:
    """What was measured last, else the default."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'cosine_scale'").fetchone()
    return CosineScale(*json.loads(row["value"])) if row else CosineScale()
