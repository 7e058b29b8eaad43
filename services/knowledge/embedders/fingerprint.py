"""Whether two embedders make the same vectors: their specs, and three probes compared by their cosine."""

from __future__ import annotations

import json
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from services.core.errors import EmbedderMismatch
from services.knowledge.embedders.protocol import Embedder, Vectors

PROBE_PASSAGES = (
    "The warranty of the pump covers the motor for two years, but not the seals.",
    "水泵的保修期为两年，包括电机，但不包括密封件。",
)
PROBE_QUERY = "How long is the warranty? 保修期多长？"
SAME_COSINE = 0.999
DECIMALS = 5

_known: WeakKeyDictionary[Embedder, str] = WeakKeyDictionary()
_lock = Lock()


def fingerprint(embedder: Embedder) -> str:
    """The embedder's spec and the vectors of three probes, as JSON.

    Cost: three short encodings at the first call for an embedder object, nothing later.
    """
    with _lock:
        found = _known.get(embedder)
    if found is None:
        probes = np.vstack([embedder.encode_passages(PROBE_PASSAGES), embedder.encode_queries([PROBE_QUERY])])
        rounded = [[round(float(value), DECIMALS) for value in probe] for probe in probes]
        found = json.dumps({"spec": embedder.spec.model_dump(), "probes": rounded}, sort_keys=True)
        with _lock:
            _known[embedder] = found
    return found


def same(fingerprint_a: str, fingerprint_b: str) -> bool:
    """Whether vectors of the two can be compared: equal specs, and each probe at a cosine of 0.999 or more."""
    return fingerprint_a == fingerprint_b or _likeness(_Parsed(fingerprint_a), _Parsed(fingerprint_b)) >= SAME_COSINE


def check(store_fingerprint: str | None, embedder: Embedder) -> None:
    """Let an embedder pass whose vectors fit those that are stored; a store without any takes each.

    Raises: EmbedderMismatch.
    """
    if store_fingerprint is None:
        return
    ours = fingerprint(embedder)
    if not same(store_fingerprint, ours):
        stored, found = _Parsed(store_fingerprint), _Parsed(ours)
        alike = f", cosine {_likeness(stored, found):.3f}" if stored.spec == found.spec else ""
        raise EmbedderMismatch(expected=str(stored), found=f"{found}{alike}")


def key_of(store_fingerprint: str | None) -> str | None:
    """The key of the embedder that a fingerprint tells of."""
    return _Parsed(store_fingerprint).spec.get("key") if store_fingerprint else None


class _Parsed:
    """A fingerprint taken apart; what is none has an empty spec and is like nothing."""

    def __init__(self, text: str) -> None:
        self.spec: dict[str, Any] = {}
        self.probes: Vectors = np.empty((0, 0), np.float32)
        try:
            content = json.loads(text)
            self.spec, self.probes = dict(content["spec"]), np.asarray(content["probes"], np.float32)
        except (ValueError, KeyError, TypeError):
            pass

    def __str__(self) -> str:
        named = [str(self.spec.get(field, "?")) for field in ("model", "revision", "dimensions")]
        return f"{named[0]} ({named[1]}, {named[2]})"


def _likeness(one: _Parsed, other: _Parsed) -> float:
    """The lowest cosine between probes; -1 where the specs differ."""
    if not one.spec or one.spec != other.spec or one.probes.shape != other.probes.shape:
        return -1.0
    lengths = np.linalg.norm(one.probes, axis=1) * np.linalg.norm(other.probes, axis=1)
    return float(np.min(np.sum(one.probes * other.probes, axis=1) / lengths))
