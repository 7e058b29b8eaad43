"""Keys on the Settings page, and how a program asks a base."""

from __future__ import annotations

from services.app import Services
from tests.app.pages import field, labels, opened, press, speak, words
from ui import api_snippets
from ui.owner import LOCAL


def codes(app: object) -> list[str]:
    return [code.value for code in app.code]  # type: ignore[attr-defined]


def test_a_key_is_made_with_its_rights_and_shown_once(services: Services) -> None:
    app = opened("7_Settings")
    assert "any word will do" in words(app)
    press(app, "New key")
    field(app, "Name").set_value("reports")
    next(box for box in app.checkbox if box.label.startswith("search")).check()
    press(app, "Create", within="New key")
    [record] = services.store.keys.all()
    assert (record.name, record.scopes) == ("reports", ["chat", "search"])
    [key] = codes(app)
    assert services.store.keys.valid(key) == record
    again = opened("7_Settings")
    assert codes(again) == [] and key not in words(again)
    assert record.beginning in words(again) and "any word will do" not in words(again)


def test_a_key_reaches_the_conversations_of_its_maker_only_where_she_says_so(services: Services) -> None:
    for name, reaches in (("reports", False), ("mine", True)):
        app = opened("7_Settings")
        press(app, "New key")
        field(app, "Name").set_value(name)
        box = next(box for box in app.checkbox if box.label == "It reaches my conversations")
        assert not box.value
        if reaches:
            box.check()
        press(app, "Create", within="New key")
    assert {key.name: key.owner_id for key in services.store.keys.all()} == {"reports": None, "mine": LOCAL}
    assert words(opened("7_Settings")).count("reaches the conversations of who made it") == 1


def test_a_key_without_rights_is_refused(services: Services) -> None:
    app = opened("7_Settings")
    press(app, "New key")
    field(app, "Name").set_value("reports")
    app.checkbox[0].uncheck()
    press(app, "Create", within="New key")
    assert 'role="alert"' in words(app) and services.store.keys.all() == []


def test_a_revoked_key_says_so_and_keeps_its_use(services: Services) -> None:
    record, _ = services.store.keys.create("reports")
    services.store.keys.count(record.id, 1200, 34)
    services.store.keys.count("", None, None)
    app = opened("7_Settings")
    assert "1 request in 30 days · 1,200 tokens read, 34 written" in words(app)
    assert "Without a key: 1 request in 30 days · n/a tokens read, n/a written" in words(app)
    press(app, "Revoke reports")
    press(app, "Revoke", within="Revoke reports")
    gone = services.store.keys.get(record.id)
    assert gone is not None and gone.revoked_at_ms
    after = opened("7_Settings")
    assert "revoked" in words(after) and "Revoke reports" not in labels(after)
    assert "已吊销" in words(speak(after, "zh_CN"))


def test_a_base_tells_how_a_program_asks_it(services: Services) -> None:
    base = services.knowledge.create("Handbook “A”")
    app = press(opened("2_Knowledge"), "Use it")
    assert any('model="kb:Handbook “A”"' in code for code in codes(app))
    found = api_snippets.base_snippets(base, "http://box:8501/v1", "Why?")
    for client, source in found.items():
        if not source.startswith("curl"):
            compile(source, client, "exec")
    assert "http://box:8501/v1/chat/completions" in found["curl"] and base.id in found["Search"]
