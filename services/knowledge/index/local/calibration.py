"""What the cosines of a base's embedder are worth, measured on the base's own vectors."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import astuple

import numpy as np

from services.knowledge.embedders.fingerprint import spec_in
from services.knowledge.index.local import ranges, vectors
from services.knowledge.search_types import CosineScale

SAMPLE = 1000
LEAST_SAMPLE = 200
STRANGERS = 0.5
NEIGHBOURS = 0.9


def cosine_scale(connection: sqlite3.Connection) -> CosineScale:
    """What was measured last; before that what is known of the embedder, else the default."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'cosine_scale'").fetchone()
    if row:
        return CosineScale(*json.loads(row["value"]))
    row = connection.execute("SELECT value FROM meta WHERE key = 'fingerprint'").fetchone()
    spec = spec_in(row["value"]) if row else None
    return CosineScale(spec.cosine_offset, spec.cosine_range) if spec else CosineScale()


def measured(connection: sqlite3.Connection, path: str) -> CosineScale | None:
    """The scale by a sample of the base: what chunks that were drawn by chance have in common is worth nothing.

    None where there are too few chunks to tell.
    """
    chosen = ranges.sample(ranges.visible(connection), SAMPLE)
    block = vectors.of_chunks(connection, chosen, path)
    if len(block.ids) < LEAST_SAMPLE:
        return None
    cosines = block.vectors @ block.vectors.T
    np.fill_diagonal(cosines, np.nan)
    offset = float(np.nanquantile(cosines, STRANGERS))
    near = float(np.nanquantile(np.nanmax(cosines, axis=1), NEIGHBOURS))
    return CosineScale(round(offset, 4), round(max(near - offset, 0.01), 4), len(block.ids))


def keep(connection: sqlite3.Connection, scale: CosineScale | None) -> None:
    """Remember what was measured."""
    if scale is not None:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('cosine_scale', ?)", (json.dumps(astuple(scale)),))
