"""What the packaged engine must never see."""

from __future__ import annotations

import unicodedata

import pytest

from services.knowledge.embedders.nano import SALUTATION, SALUTATION_WRITTEN_OUT, acceptable


@pytest.mark.parametrize("text", ["", "plain", "中文 and 👩‍👩‍👧‍👦", "e\u0301", "a\tb\nc"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert acceptable(text) == text


def test_a_nul_becomes_a_space() -> None:
    assert acceptable("a\0b") == "a b"


def test_lone_surrogates_are_replaced_and_pairs_joined() -> None:
    assert "\ud800" not in acceptable("a\ud800b")
    assert acceptable("a\ud800b").startswith("a")
    acceptable("\ud83d\ude00\udfff").encode("utf-8")


def test_the_character_that_outgrows_the_engines_memory_is_written_out() -> None:
    assert SALUTATION not in acceptable(f"x{SALUTATION}y")
    assert unicodedata.normalize("NFKC", SALUTATION) == SALUTATION_WRITTEN_OUT


def test_no_other_character_grows_beyond_four_for_each_byte() -> None:
    growing = [
        character
        for character in map(chr, (*range(0xD800), *range(0xE000, 0x110000)))
        if len(unicodedata.normalize("NFKC", character)) > 4 * len(character.encode())
    ]
    assert growing == [SALUTATION]
