"""Where a setting comes from, and what is said when it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InvalidSetting
from services.core.settings import load


def test_argument_beats_environment_beats_file_beats_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.toml").write_text("port = 7001\nmax_pages = 7\nembedded_context = 1024\n")
    monkeypatch.setenv("LECTERN_PORT", "7002")
    monkeypatch.setenv("LECTERN_EMBEDDED_CONTEXT", "2048")
    settings = load(home=str(tmp_path), port=7003)
    assert (settings.port, settings.embedded_context, settings.max_pages, settings.host) == (7003, 2048, 7, "127.0.0.1")
    origins = settings.origins
    assert [origins[name] for name in ("port", "embedded_context", "max_pages", "host")] == [
        "argument",
        "environment",
        "file",
        "default",
    ]


def test_a_wrong_value_names_its_key_and_where_it_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_PORT", "many")
    with pytest.raises(InvalidSetting) as refused:
        load(home=tmp_path)
    assert (refused.value.params["key"], refused.value.params["origin"]) == ("port", "environment")


def test_an_unknown_key_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("prot = 7001\n")
    with pytest.raises(InvalidSetting) as refused:
        load(home=tmp_path)
    assert (refused.value.params["key"], refused.value.params["origin"]) == ("prot", "file")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("port = = 1\n")
    with pytest.raises(InvalidSetting) as refused:
        load(home=tmp_path)
    assert refused.value.params["key"] == "settings.toml"


def test_other_hosts_than_loopback_need_permission(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting):
        load(home=tmp_path, host="0.0.0.0")
    assert load(home=tmp_path, host="0.0.0.0", allow_remote_listen=True).host == "0.0.0.0"
