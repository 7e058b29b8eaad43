"""Keys of the API: what each may do, what it was used for, and who needs none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.core.api_errors import KeyNotFound
from services.core.errors import InvalidName, InvalidValue, NameTaken
from services.core.units import MIB
from services.store.api_keys import ANYBODY, CHAT, MANAGE, SEARCH, Use
from tests.fakes.api_server import ApiServer, running_api
from tests.fakes.chat_server import running_chat_server
from tests.integration.api_places import ASKED, SERVER


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    with running_api(tmp_path, max_file_bytes=MIB) as running:
        yield running


def status(api: ApiServer, path: str, key: str = "", method: str = "GET", **more: Any) -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.request(method, f"{api.url}{path}", headers=headers, **more).status_code


def test_any_key_or_none_will_do_until_the_first_one_is_made(api: ApiServer) -> None:
    assert status(api, "/models") == status(api, "/models", "whatever") == 200
    record, key = api.services.store.keys.create("ci")
    assert status(api, "/models") == status(api, "/models", "whatever") == 401
    assert status(api, "/models", key) == 200
    api.services.store.keys.revoke(record.name)
    assert status(api, "/models", key) == status(api, "/models") == 401


def test_who_comes_through_a_proxy_may_be_anywhere_and_needs_a_key(api: ApiServer) -> None:
    forwarded = httpx.get(f"{api.url}/models", headers={"X-Forwarded-For": "127.0.0.1"})
    assert forwarded.status_code == 401 and forwarded.json()["error"]["code"] == "invalid_api_key"


def test_a_key_may_do_what_its_scopes_say(api: ApiServer) -> None:
    keys = {scope: api.services.store.keys.create(scope, [scope])[1] for scope in (CHAT, SEARCH, MANAGE)}
    tried: dict[str, tuple[str, str, dict[str, Any]]] = {
        CHAT: ("/chat/completions", "POST", {"json": {"model": "kb:x", "messages": ASKED}}),
        SEARCH: ("/knowledge_bases", "GET", {}),
        MANAGE: ("/knowledge_bases", "POST", {"json": {"name": "Garden"}}),
    }
    for wanted, (path, method, more) in tried.items():
        found = {scope: status(api, path, key, method, **more) for scope, key in keys.items()}
        assert {scope for scope, code in found.items() if code != 403} == {wanted}, found


def test_pages_of_other_origins_cannot_use_the_api(api: ApiServer) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert httpx.get(f"{api.url}/models", headers=headers).status_code == 403
    ours = httpx.get(f"{api.url}/models", headers={"Origin": api.root})
    assert ours.status_code == 200 and "access-control-allow-origin" not in ours.headers


def test_a_body_that_is_too_large_is_refused_before_it_is_read_or_while_it_is(api: ApiServer) -> None:
    api.services.knowledge.create("Garden")
    path = "/knowledge_bases/Garden/documents"
    assert status(api, path, method="POST", files={"file": ("a.txt", b"x" * (MIB + 9))}) == 413
    assert status(api, path, method="POST", files={"file": ("a.txt", b"x" * 3 * MIB)}) == 413

    def endless() -> Iterator[bytes]:
        for _ in range(34):
            yield b" " * MIB

    sent = httpx.post(f"{api.url}/embeddings", content=endless(), headers={"Content-Type": "application/json"})
    assert sent.status_code == 413 and sent.json()["error"]["code"] == "too_large"


def test_requests_and_tokens_are_counted_by_key_and_day(api: ApiServer) -> None:
    keys = api.services.store.keys
    record, key = keys.create("ci")
    with running_chat_server(answer="one two three") as server:
        api.services.servers.add_remote("fake", server.url, model="fake-model")
        body = {"model": SERVER, "messages": ASKED}
        assert status(api, "/chat/completions", key, "POST", json=body) == 200
        assert status(api, "/chat/completions", key, "POST", json={**body, "stream": True}) == 200
        server.set(mode="ignores_usage")
        assert status(api, "/chat/completions", key, "POST", json={**body, "stream": True}) == 200
    assert keys.used()[record.id] == Use(3, 12, 6, 1)
    [(day, use)] = keys.days(record.id)
    assert len(day) == 10 and use.requests == 3
    used = keys.get(record.id)
    assert used is not None and used.last_used_at_ms is not None
    assert keys.used("9999-12-31") == {} and ANYBODY not in keys.used()


def test_requests_without_a_model_are_counted_too_and_cost_no_tokens(api: ApiServer) -> None:
    keys = api.services.store.keys
    record, key = keys.create("librarian", [SEARCH, MANAGE])
    assert status(api, "/knowledge_bases", key, "POST", json={"name": "Garden"}) == 201
    assert status(api, "/knowledge_bases/Garden/search", key, "POST", json={"query": "pump"}) == 200
    assert status(api, "/models", key) == 200
    assert status(api, "/chat/completions", key, "POST", json={"model": "kb:Garden", "messages": ASKED}) == 403
    assert keys.used()[record.id] == Use(3, 0, 0, 0)
    used = keys.get(record.id)
    assert used is not None and used.last_used_at_ms is not None


def test_tokens_that_nobody_told_stay_unknown_beside_requests_that_cost_none() -> None:
    assert Use(2, 0, 0, 1).known(0) is None and Use(2, 0, 0, 0).known(0) == 0 and Use(3, 12, 6, 1).known(12) == 12


def test_a_key_is_stored_as_its_hash_alone(api: ApiServer, tmp_path: Path) -> None:
    record, key = api.services.store.keys.create("ci")
    assert key.startswith(record.beginning) and len(key) > 30
    api.services.store.database.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("state.sqlite3*"))
    assert record.digest.encode() in stored and key.encode() not in stored


def test_names_and_scopes_of_keys_are_checked(api: ApiServer) -> None:
    keys = api.services.store.keys
    keys.create("ci")
    with pytest.raises(NameTaken):
        keys.create("ci")
    with pytest.raises(InvalidName):
        keys.create(" ")
    with pytest.raises(InvalidValue):
        keys.create("other", ["everything"])
    with pytest.raises(InvalidValue):
        keys.create("other", [])
    with pytest.raises(KeyNotFound):
        keys.revoke("nobody")
