"""What stands before every HTTP answer: known hosts, headers, one cookie for each browser."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from services.api.guards import HostGuard, OwnerCookie, SecurityHeaders, is_owner

HTML = {"Accept": "text/html,application/xhtml+xml"}


async def page(_: Request) -> PlainTextResponse:
    return PlainTextResponse("page")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("welcome")
    await websocket.close()


def client(*guards: Middleware, base_url: str = "http://127.0.0.1:8501") -> TestClient:
    routes = [Route("/", page, methods=["GET", "POST"]), WebSocketRoute("/stream", socket)]
    return TestClient(Starlette(routes=routes, middleware=list(guards)), base_url=base_url)


GUARDED = Middleware(HostGuard, hosts=["lectern.lan"])


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8501", "127.0.0.1:8501", "[::1]:8501", "LOCALHOST:1", "lectern.lan:8501", "localhost."],
)
def test_known_hosts_are_served(host: str) -> None:
    assert client(GUARDED).get("/", headers={"Host": host}).text == "page"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "localhost/evil.example",
        "",
        "[::1",
        "0.0.0.0",
    ],
)
def test_unknown_hosts_are_refused(host: str) -> None:
    answer = client(GUARDED).get("/", headers={"Host": host})
    assert answer.status_code == 421
    assert "page" not in answer.text


def test_a_web_socket_under_an_unknown_host_is_refused() -> None:
    with client(GUARDED).websocket_connect("/stream", headers={"Host": "localhost"}) as stream:
        assert stream.receive_text() == "welcome"
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client(GUARDED).websocket_connect("/stream", headers={"Host": "evil.example"}),
    ):
        pass
    assert refused.value.code == 1008


def test_every_answer_carries_the_security_headers_even_a_missing_one() -> None:
    browser = client(Middleware(SecurityHeaders, content_security_policy="default-src 'self'"))
    for path in ("/", "/missing"):
        headers = browser.get(path).headers
        assert headers["Content-Security-Policy"] == "default-src 'self'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "camera=()" in headers["Permissions-Policy"]


def test_a_first_visit_brings_a_cookie_that_scripts_cannot_read() -> None:
    cookie = client(Middleware(OwnerCookie)).get("/", headers=HTML).headers["Set-Cookie"]
    value, *attributes = cookie.split("; ")
    assert is_owner(value.removeprefix("lectern_owner="))
    assert set(attributes) == {"Path=/", "Max-Age=31536000", "HttpOnly", "SameSite=Lax"}


def test_the_cookie_is_secure_under_https() -> None:
    browser = client(Middleware(OwnerCookie), base_url="https://lectern.lan")
    assert "Secure" in browser.get("/", headers=HTML).headers["Set-Cookie"].split("; ")


def test_a_known_browser_keeps_its_cookie_and_a_forged_one_is_replaced() -> None:
    browser = client(Middleware(OwnerCookie))
    browser.get("/", headers=HTML)
    assert "Set-Cookie" not in browser.get("/", headers=HTML).headers
    browser.cookies.clear()
    assert "Set-Cookie" in browser.get("/", headers={**HTML, "Cookie": "lectern_owner=../../root"}).headers


def test_only_opening_a_page_brings_a_cookie() -> None:
    browser = client(Middleware(OwnerCookie))
    assert "Set-Cookie" not in browser.get("/", headers={"Accept": "*/*"}).headers
    assert "Set-Cookie" not in browser.post("/", headers=HTML).headers
