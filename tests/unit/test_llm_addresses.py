"""Addresses of model servers as people type them."""

from __future__ import annotations

import pytest

from services.core.errors import InvalidValue
from services.llm.addresses import normalise_url, root_url


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        (" https://models.example/v1/// \n", "https://models.example/v1"),
        ("http://host/v1/chat/completions", "http://host/v1"),
        ("http://host/v1/chat/completions/", "http://host/v1"),
        ("http://host/v1/models", "http://host/v1"),
        ("http://host/openai/v2", "http://host/openai/v2"),
        ("http://[::1]:8080", "http://[::1]:8080/v1"),
        ("HTTP://Host:80", "http://Host:80/v1"),
    ],
)
def test_makes_a_base_url(typed: str, url: str) -> None:
    assert normalise_url(typed) == url
    assert normalise_url(url) == url


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "localhost:8000/v1",
        "ftp://host/v1",
        "file:///etc/passwd",
        "http://",
        "http:///v1",
        "http://host:notaport/v1",
        "http://host:99999/v1",
        "http://ho st/v1",
        "http://host/v1?key=1",
        "http://host/v1#top",
        "http://[::1/v1",
    ],
)
def test_refuses_what_is_no_address(typed: str) -> None:
    with pytest.raises(InvalidValue):
        normalise_url(typed)


def test_refuses_credentials_and_does_not_repeat_them() -> None:
    with pytest.raises(InvalidValue) as raised:
        normalise_url("http://ann:hunter2@host/v1")
    assert "hunter2" not in str(raised.value)


def test_the_root_is_what_stands_above_v1() -> None:
    assert root_url("http://host/v1") == "http://host"
    assert root_url("http://host/llama/v1") == "http://host/llama"
    assert root_url("http://host/openai/v2") == "http://host/openai/v2"
