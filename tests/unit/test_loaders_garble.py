"""Text that is none is noticed, and what only looks odd is left alone."""

from __future__ import annotations

import pytest

from services.knowledge.loaders.garble import garbled
from tests.fakes.documents import HANZI, WORDS

FRENCH = "Voilà été déjà élève à côté où naïve cœur "
TRADITIONAL = "這個國家的時間與關係發展，學生們說對產種過後動。"


@pytest.mark.parametrize(
    "text",
    [
        (HANZI * 5).encode().decode("cp1252", "replace"),
        (HANZI * 5).encode().decode("latin1"),
        (FRENCH * 9).encode().decode("cp1252", "replace"),
        (HANZI * 5).encode("gbk").decode("latin1"),
        (HANZI * 5).encode("gbk").decode("big5", "ignore"),
        (HANZI * 5).encode().decode("gbk", "ignore"),
        "(cid:12)(cid:233) (cid:7) " * 20,
        "/G12/G7 /uni0041/uni0042 " * 20,
        " ".join(WORDS.replace(" ", "")) * 3,
        "".join(chr(ord(letter) - 29) if letter != " " else letter for letter in WORDS.lower() * 12),
        "\x04\x05\x06\x04 \x07\x08" * 20,
        "\ue001\ue002\ue003 \ufffd" * 20,
    ],
)
def test_noise_is_garbled(text):
    assert garbled(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        WORDS * 9,
        HANZI * 9,
        TRADITIONAL * 9,
        FRENCH * 20,
        "水 泵 每 天 早 上 六 点 启 动 " * 9,
        "∀ε>0 ∃δ>0: |x−x₀|<δ ⇒ |f(x)−f(x₀)|<ε, ∑ᵢ αᵢβᵢ = ∫ φ(t)dt ≤ π·Γ(½) " * 9,
        "x + y = z, a ≤ b, f ( x ) = 3 x + 1 " * 20,
        "for (let i = 0; i < rows.length; i++) { total += rows[i] * w[i]; } // summe\n" * 9,
        "12.5 13.0 99.1 16,50 3 4 5 6 7 8 \n" * 30,
        "انواع الخطوط العربية في هذا النص " * 9,
        "Насос северной скважины включается в шесть часов утра. " * 9,
        "북쪽 우물의 펌프는 아침 여섯 시에 시작한다. " * 9,
        "北の井戸のポンプは朝六時に始まります。" * 9,
        "ปั๊มของบ่อเหนือเริ่มทำงานเวลาหกโมงเช้า " * 9,
        "उत्तरी कुएं का पंप सुबह छह बजे शुरू होता है। " * 9,
        "Η αντλία του βόρειου πηγαδιού ξεκινά στις έξι. " * 9,
        "Máy bơm giếng phía bắc bắt đầu lúc sáu giờ sáng. " * 9,
        "ACGTACGTTAGC" * 40,
    ],
)
def test_what_people_write_is_not(text):
    assert not garbled(text)
