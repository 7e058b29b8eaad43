"""Text in any encoding is read right, or it is said that it may be wrong."""

from __future__ import annotations

import codecs
import os

import pytest

from services.knowledge.loaders.decoding import decode, looks_like_text, undoubled

CHINESE = "设备维护手册：请先关闭电源，然后打开机柜门。每个月检查一次过滤器，必要时更换。"
TAIWANESE = "設備維護手冊：請先關閉電源，然後打開機櫃門。每個月檢查一次過濾器，必要時更換。"
WESTERN = "Der Prüfer öffnet das Gehäuse; le café coûte 2,50 € – naïve façade."


@pytest.mark.parametrize(
    "encoding", ["utf-8", "gb2312", "gbk", "gb18030", "utf-16", "utf-32", "utf-16-le", "utf-16-be"]
)
def test_simplified_chinese_is_read_in_every_encoding(encoding):
    text = f"{CHINESE}\nPart 7\n"
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize("encoding", ["big5", "big5hkscs", "utf-8", "gb18030"])
def test_traditional_chinese_is_read_in_every_encoding(encoding):
    found = decode(TAIWANESE.encode(encoding))
    assert found.text == TAIWANESE
    assert found.sure


@pytest.mark.parametrize("text", ["你好", "姓名,部门\n张三,研发\n", "第三章"])
def test_short_chinese_text_is_not_taken_for_another_script(text):
    assert decode(text.encode("gb18030")).text == text


def test_western_text_with_typographic_signs_is_read():
    assert decode(WESTERN.encode("cp1252")).text == WESTERN


@pytest.mark.parametrize("text", ["Größe", "El niño comió", "25 °C ± 3"])
def test_a_single_accent_does_not_make_a_text_chinese(text):
    assert decode(text.encode("cp1252")).text == text


def test_russian_text_is_read():
    text = "Руководство по эксплуатации. Перед началом работы отключите питание."
    assert decode(text.encode("cp1251")).text == text


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert decode(codecs.BOM_UTF8 + b"Seal").text == "Seal"


def test_chinese_that_is_valid_utf8_by_chance_is_read_as_chinese():
    raw = "水位：水深，水温".encode("gb18030")
    assert decode(raw).text == "水位：水深，水温"
    assert decode("水水".encode("gb18030")).text == "水水"


@pytest.mark.parametrize(
    "text", ["مرحبا بالعالم", "שלום עולם", "Καλημέρα κόσμε", "Привет, мир", "naïve façade", "สวัสดี", "🙂"]
)
def test_short_utf8_of_any_script_is_believed(text):
    found = decode(text.encode())
    assert (found.text, found.encoding) == (text, "utf-8")


def test_long_utf8_is_believed_however_strange():
    text = "the striker\u00e2\x80\x99s goal " * 100
    assert decode(text.encode()).text == text


def test_a_stray_nul_does_not_make_a_text_wide():
    text = "2026-03-01 pump started\n" * 20
    assert decode((text + "\x00" + text).encode()).text == text + "\x00" + text
    assert looks_like_text((text + "\x00" + text).encode())


def test_one_bad_byte_in_utf8_does_not_change_the_encoding():
    raw = (CHINESE * 20).encode() + b"\xff" + CHINESE.encode()
    found = decode(raw)
    assert found.encoding == "utf-8"
    assert found.text.count("\ufffd") == 1


def test_chinese_that_begins_after_much_ascii_is_found():
    text = "id;value\n" * 20_000 + CHINESE
    assert decode(text.encode("gb18030")).text == text


def test_a_declared_encoding_decides_between_equal_readings():
    text = "テスト文書です"
    assert decode(text.encode("euc_jp"), declared="euc-jp").text == text


def test_a_wrongly_declared_encoding_is_not_believed():
    assert decode(CHINESE.encode("gb18030"), declared="iso-8859-1").text == CHINESE


def test_a_reading_that_has_a_rival_is_not_sure():
    text = "こんにちは世界"
    assert not decode(text.encode("euc_jp")).sure


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16-le", "utf-32-be", "cp1252"])
def test_text_looks_like_text(encoding):
    assert looks_like_text(("Part 7 – " + ("" if encoding == "cp1252" else CHINESE)).encode(encoding))


def test_binary_bytes_do_not_look_like_text():
    assert not looks_like_text(os.urandom(4096))
    assert not looks_like_text(b"\x00\x01\x02\x03" * 1000)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Příliš žluťoučký kůň úpěl ďábelské ódy. Nechť již hříšné saxofony", "cp1250"),
        ("Zażółć gęślą jaźń, pchnąć w tę łódź jeża", "cp1250"),
        ("L'été était très chaud, où êtes-vous ? ¿Qué niño comió? Größe über", "cp1252"),
        ("Rødgrød med fløde på bordet, æbler", "cp1252"),
    ],
)
def test_western_and_central_european_text_are_told_apart(text, encoding):
    assert decode(text.encode(encoding)).text == text


def test_text_that_was_encoded_twice_is_mended():
    assert undoubled("1986–1990, 值".encode().decode("latin-1")) == "1986–1990, 值"
    assert undoubled("Ã\x85 is no such text: \x85 Ä\x99") == "Å is no such text: \x85 ę"
    assert undoubled(WESTERN) == WESTERN
