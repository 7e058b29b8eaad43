"""An embedder is known again by its spec and by the vectors that it makes."""

from __future__ import annotations

import json

import pytest

from services.core.errors import EmbedderMismatch, InvalidValue
from services.knowledge.embedders import make_embedder
from services.knowledge.embedders.fingerprint import check, fingerprint, same
from tests.fakes.embedder import HashEmbedder, OtherHashEmbedder


class RenamedEmbedder(HashEmbedder):
    spec = HashEmbedder.spec.model_copy(update={"revision": "2"})


def test_two_objects_of_one_embedder_are_the_same() -> None:
    one, other = fingerprint(HashEmbedder()), fingerprint(HashEmbedder())
    assert same(one, other)
    check(one, HashEmbedder())


def test_a_little_noise_in_the_vectors_is_still_the_same() -> None:
    content = json.loads(fingerprint(HashEmbedder()))
    content["probes"] = [[value * 2 + 0.002 for value in probe] for probe in content["probes"]]
    assert same(fingerprint(HashEmbedder()), json.dumps(content))


def test_other_vectors_under_the_same_name_are_found_out() -> None:
    stored = fingerprint(HashEmbedder())
    assert not same(stored, fingerprint(OtherHashEmbedder()))
    with pytest.raises(EmbedderMismatch) as caught:
        check(stored, OtherHashEmbedder())
    assert "cosine" in caught.value.params["found"]


def test_another_revision_is_another_embedder() -> None:
    assert not same(fingerprint(HashEmbedder()), fingerprint(RenamedEmbedder()))
    with pytest.raises(EmbedderMismatch, match=r"hashed-ngrams \(1, 64\).*hashed-ngrams \(2, 64\)"):
        check(fingerprint(HashEmbedder()), RenamedEmbedder())


def test_a_store_without_vectors_takes_every_embedder() -> None:
    check(None, HashEmbedder())


@pytest.mark.parametrize("stored", ["", "{}", "[1]", '{"spec": 1, "probes": []}', '{"spec": {}, "probes": [[]]}'])
def test_what_is_no_fingerprint_matches_nothing(stored: str) -> None:
    assert not same(stored, fingerprint(HashEmbedder()))
    with pytest.raises(EmbedderMismatch):
        check(stored, HashEmbedder())


def test_an_unknown_embedder_is_refused_by_name() -> None:
    with pytest.raises(InvalidValue) as caught:
        make_embedder("no-such")
    assert caught.value.params["value"] == "no-such"
