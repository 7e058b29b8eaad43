"""Whether two embedders make the same vectors: their specs, and three probes compared by their cosine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from pydantic import ValidationError

from services.core.clock import ticks_ms
from services.core.errors import EmbedderMismatch
from services.knowledge.embedders.protocol import Embedder, EmbedderSpec, Vectors

PROBE_PASSAGES = (
    "The warranty of the pump covers the motor for two years, but not the seals.",
    "水泵的保修期为两年，包括电机，但不包括密封件。",
)
PROBE_QUERY = "How long is the warranty? 保修期多长？"
SAME_COSINE = 0.999
DECIMALS = 5

FRESH_MS = 60_000
"""A server may change its model at any time: its probes count for so long."""
DECIDING = ("model", "revision", "dimensions", "window_tokens", "query_prefix", "passage_prefix", "pooling")
"""Fields of a spec that change vectors. Where an embedder is found, and what its cosines are worth, does not."""

_known: WeakKeyDictionary[Embedder, tuple[str, float]] = WeakKeyDictionary()
_lock = Lock()


def fingerprint(embedder: Embedder) -> str:
    """The embedder's spec and the vectors of three probes, as JSON.

    Cost: three short encodings at the first call for an embedder object, nothing later; of a server once a minute.
    """
    with _lock:
        found, made_ms = _known.get(embedder, ("", 0.0))
    if not found or (embedder.spec.server is not None and ticks_ms() - made_ms > FRESH_MS):
        probes = np.vstack([embedder.encode_passages(PROBE_PASSAGES), embedder.encode_queries([PROBE_QUERY])])
        rounded = [[round(float(value), DECIMALS) for value in probe] for probe in probes]
        found = json.dumps({"spec": embedder.spec.model_dump(), "probes": rounded}, sort_keys=True)
        with _lock:
            _known[embedder] = found, ticks_ms()
    return found


def encoded(embedder: Embedder, texts: Sequence[str], expected: str) -> Vectors:
    """Vectors of passages that will be stored.

    A server may change its model from one request to the next: each brings a probe along that must come out as it
    did before.

    Args:
        expected: the fingerprint of the vectors that they are stored with.

    Raises: EmbedderMismatch, and what the embedder raises.
    """
    if embedder.spec.server is None:
        return embedder.encode_passages(texts)
    vectors, stored = embedder.encode_passages([*texts, PROBE_PASSAGES[0]]), _Parsed(expected)
    cosine = float(vectors[-1] @ stored.probes[0] / np.linalg.norm(stored.probes[0]))
    if cosine < SAME_COSINE:
        _forget(embedder)
        raise EmbedderMismatch(expected=str(stored), found=f"{stored}, cosine {cosine:.3f}")
    return vectors[:-1]


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
        _forget(embedder)
        stored, found = _Parsed(store_fingerprint), _Parsed(ours)
        alike = f", cosine {_likeness(stored, found):.3f}" if stored.deciding == found.deciding else ""
        raise EmbedderMismatch(expected=str(stored), found=f"{found}{alike}")


def spec_in(store_fingerprint: str | None) -> EmbedderSpec | None:
    """The spec that a fingerprint tells of; None where there is none, or it cannot be read."""
    try:
        return EmbedderSpec(**_Parsed(store_fingerprint or "").spec)
    except ValidationError:
        return None


def _forget(embedder: Embedder) -> None:
    """What was wrong may be put right: the next look asks anew."""
    with _lock:
        _known.pop(embedder, None)


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
        told = [str(self.spec.get(field, "?")) for field in ("revision", "dimensions")]
        return f"{self.spec.get('model', '?')} ({', '.join(filter(None, told))})"

    @property
    def deciding(self) -> dict[str, Any]:
        """What of the spec changes vectors."""
        return {field: self.spec.get(field) for field in DECIDING}


def _likeness(one: _Parsed, other: _Parsed) -> float:
    """The lowest cosine between probes; -1 where the specs differ."""
    if not one.spec or one.deciding != other.deciding or one.probes.shape != other.probes.shape:
        return -1.0
    lengths = np.linalg.norm(one.probes, axis=1) * np.linalg.norm(other.probes, axis=1)
    return float(np.min(np.sum(one.probes * other.probes, axis=1) / lengths))
