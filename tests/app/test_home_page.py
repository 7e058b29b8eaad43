"""Home: figures, what needs attention, and the first step."""

from __future__ import annotations

from services.app import Services
from services.knowledge.loaders.reader import Reader
from tests.app.pages import labels, opened, press, put, speak, words
from tests.fakes.chat_server import ChatServer


def test_an_empty_home_offers_the_samples_and_one_press_goes_to_the_chat(services: Services) -> None:
    app = opened()
    assert "Ask your own documents" in words(app) and "Needs attention" not in [s.value for s in app.subheader]
    press(app, "Try it with sample documents")
    (summary,) = services.knowledge.bases()
    assert summary.base.name == "Sample documents" and summary.counts.documents >= 6
    assert app.title[0].value == "Chat"


def test_the_first_step_goes_once_there_is_a_base(services: Services, reader: Reader) -> None:
    base = services.knowledge.create("Garden <b>")
    put(services, base, reader, pond_txt=b"The pond holds koi.")
    app = opened()
    assert "Try it with sample documents" not in labels(app)
    html = words(app)
    assert "Garden &lt;b&gt;" in html and "1 document · 1 chunk" in html
    assert "Needs attention" not in [subheader.value for subheader in app.subheader]


def test_what_is_not_well_is_named_with_its_remedy(services: Services, reader: Reader, chat_server: ChatServer) -> None:
    services.servers.add_remote("alive", chat_server.url)
    services.servers.add_remote("dead", "http://127.0.0.1:9/v1")
    base = services.knowledge.create("Garden")
    put(services, base, reader, empty_txt=b"", pond_txt=b"The pond holds koi.")
    app = opened()
    html = words(app)
    assert "Needs attention" in [subheader.value for subheader in app.subheader]
    assert "1 / 2" in html and "The server “dead” does not answer" in html and "Servers page" in html
    assert "“Garden”: 1 document could not be read" in html


def test_home_speaks_chinese(services: Services) -> None:
    services.knowledge.create("Garden")
    app = speak(opened(), "zh_CN")
    assert app.title[0].value == "首页"
    assert [subheader.value for subheader in app.subheader] == ["知识库"]
    assert "知识库" in words(app) and "Knowledge bases" not in words(app)


def raised(services: Services, code: str, subject: str, level: str, **params: object) -> None:
    services.store.alerts.begin(services.machine_id, code, subject, level=level, params=params, announce=False)


def test_an_open_alert_is_shown_with_its_level_and_remedy(services: Services) -> None:
    raised(services, "disk_low", "/srv", "critical", free="1.0 GiB", path="/srv")
    raised(services, "host_memory", "box <b>", "warning", percent=97, used="97.0 GiB", total="100.0 GiB")
    app = opened()
    html = words(app)
    assert "Needs attention" in [subheader.value for subheader in app.subheader]
    assert "Only 1.0 GiB of disk are left at /srv. Free some space" in html and "since " in html
    assert "critical" in html and "warning</span>warning" in html and "box &lt;b&gt;" in html
    assert html.index("critical") < html.index("box &lt;b&gt;"), "the gravest first"


def test_an_alert_that_has_cleared_is_not_shown(services: Services) -> None:
    raised(services, "disk_low", "/srv", "critical", free="1.0 GiB", path="/srv")
    (alert,) = services.alerts.open()
    services.store.alerts.clear(alert.id, announce=False)
    assert "Needs attention" not in [subheader.value for subheader in opened().subheader]


def test_a_server_that_is_shown_with_its_error_is_not_told_of_twice(services: Services) -> None:
    services.servers.add_remote("dead", "http://127.0.0.1:9/v1")
    raised(services, "server_down", "dead", "critical", name="dead")
    raised(services, "server_down", "flickering", "critical", name="flickering")
    html = words(opened())
    assert "The server “dead” does not answer" in html and "“dead” should run" not in html
    assert "The server “flickering” should run, but does not." in html
