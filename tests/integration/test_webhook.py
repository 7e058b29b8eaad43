"""A webhook is told what happened, by the address that was looked at, and by no other way."""

from __future__ import annotations

import datetime
import logging
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.core import log
from services.core.clock import now_ms
from services.core.errors import AppError, InvalidValue, WebhookFailed, WebhookRefused
from services.monitoring import webhook
from services.monitoring.alerts import AlertService
from services.store import StateStore
from services.store.alerts import AlertRecord
from services.store.product import choose
from tests.fakes import patience
from tests.fakes.receiver import DRIPS, HANGS, Receiver, receiver

until = partial(patience.until, seconds=30)

HERE = "machine-1"
SECRET = "T0KEN-in-the-path"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    opened = StateStore(f"sqlite:///{tmp_path / 'state.sqlite3'}")
    yield opened
    opened.close()


@pytest.fixture
def alerts(store: StateStore) -> AlertService:
    return AlertService(store.alerts, store.preferences, machine_id=HERE, allow_private=True)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One second of patience is enough for a server on loopback."""
    monkeypatch.setattr(webhook, "TIMEOUT_S", 1.0)


def begun(store: StateStore) -> AlertRecord:
    params = {"gpu": "GPU 0 (H100)", "percent": 97, "used": "97.0 GiB", "total": "100.0 GiB"}
    return store.alerts.begin(HERE, "gpu_memory", "GPU 0", level="warning", params=params, announce=True)


def hurry(store: StateStore, alert: AlertRecord) -> AlertRecord:
    """Let the waiting time until the next try be over."""
    again = store.alerts.get(alert.id)
    assert again is not None
    assert store.alerts.update(alert.id, due_at_ms=now_ms())
    return again


def told(hook: Receiver) -> list[str]:
    return [request.body["event"] for request in hook.received]


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/hook",
        "http://127.1",
        "http://2130706433",
        "http://0x7f000001",
        "http://localhost:8080/hook",
        "http://LOCALHOST",
        "http://0.0.0.0",
        "http://10.1.2.3",
        "https://192.168.1.1/hook",
        "http://172.16.0.1",
        "http://100.64.0.1",
        "http://169.254.169.254/latest/meta-data",
        "http://224.0.0.1",
        "http://255.255.255.255",
        "http://240.0.0.1",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:10.0.0.1]",
        "http://[::ffff:7f00:1]",
        "http://[::127.0.0.1]",
        "http://[64:ff9b::10.0.0.1]",
        "http://[2002:a00:1::]",
        "http://[2001:0:a00:1::1]",
        "http://[fe80::1]",
        "http://[fec0::1]",
        "http://[fd00::1]",
        "http://[ff02::1]",
        "http://[2001:db8::1]",
    ],
)
def test_an_address_that_is_not_public_is_refused(url: str) -> None:
    with pytest.raises(WebhookRefused) as refused:
        webhook.checked(url, allow_private=False)
    assert "LECTERN_ALLOW_PRIVATE_WEBHOOKS" in refused.value.render().remedy
    assert webhook.checked(url, allow_private=True).addresses


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["2606:4700::1111", "::1"], ["8.8.8.8", "fe80::1%eth0"]]
)
def test_a_name_is_refused_when_any_of_its_addresses_is_not_public(addresses: list[str]) -> None:
    with pytest.raises(WebhookRefused):
        webhook.checked("https://hooks.example/x", allow_private=False, resolve=lambda *_: addresses)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
def test_a_public_address_is_taken(address: str) -> None:
    assert webhook.is_public(address)
    target = webhook.checked("https://hooks.example/x?y=1", allow_private=False, resolve=lambda *_: [address])
    assert (target.host, target.port, target.addresses) == ("hooks.example", 443, (address,))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/", "http://"),
        ("file:///etc/passwd", "http://"),
        ("hooks.example", "http://"),
        ("", "http://"),
        ("http://", "names no server"),
        ("http://:80/", "names no server"),
        ("http://exa mple.com/", "names no server"),
        ("http://0177.0.0.1/", "names no server"),
        ("http://①②⑦.⓪.⓪.①/", "names no server"),
        (f"https://user:{SECRET}@example.com/", "password"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str, reason: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        webhook.checked(url, allow_private=True)
    assert reason in refused.value.render().message
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a" * 70 + ".example"])
def test_a_name_that_is_not_known_is_said_to_be_so(host: str) -> None:
    with pytest.raises(AppError) as refused:
        webhook.checked(f"http://{host}/", allow_private=True)
    assert "not known" in refused.value.render().message or "names no server" in refused.value.render().message


# One delivery


def test_the_connection_goes_to_the_address_that_was_looked_at() -> None:
    """No second look-up, which could answer otherwise: this name is known to nobody but the first."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with receiver() as hook:
        target = webhook.checked(f"http://hooks.example:{hook.port}/a?b=c", allow_private=True, resolve=resolve)
        webhook.tell(target, {"event": "test"})
    (request,) = hook.received
    assert (request.path, request.headers["Host"]) == ("/a?b=c", f"hooks.example:{hook.port}")
    assert asked == ["hooks.example"]


def test_the_next_address_is_tried_where_the_first_does_not_answer() -> None:
    with receiver() as hook:
        target = webhook.checked(
            f"http://hooks.example:{hook.port}/", allow_private=True, resolve=lambda *_: ["127.0.0.9", "127.0.0.1"]
        )
        webhook.tell(target, {"event": "test"})
    assert told(hook) == ["test"]


@pytest.mark.parametrize("status", [400, 404, 500, 302])
def test_only_a_status_of_success_counts(status: int) -> None:
    with receiver(status) as hook:
        with pytest.raises(WebhookFailed) as failed:
            webhook.tell(webhook.checked(hook.url, allow_private=True), {})
    assert str(status) in failed.value.render().message


def test_a_redirect_is_not_followed() -> None:
    with receiver() as inner, receiver(307, location=inner.url) as hook:
        with pytest.raises(WebhookFailed):
            webhook.tell(webhook.checked(hook.url, allow_private=True), {})
        assert (len(hook.received), inner.received) == (1, [])


@pytest.mark.parametrize("answer", [HANGS, DRIPS])
@pytest.mark.usefixtures("quick")
def test_a_receiver_that_never_comes_to_an_end_is_left(answer: int) -> None:
    with receiver(answer) as hook:
        with pytest.raises(WebhookFailed) as failed:
            webhook.tell(webhook.checked(hook.url, allow_private=True), {})
    assert "no answer within 1 s" in failed.value.render().message


def test_nobody_at_home_is_an_error_of_ours() -> None:
    with receiver() as hook:
        target = webhook.checked(hook.url, allow_private=True)
    with pytest.raises(WebhookFailed) as failed:
        webhook.tell(target, {})
    assert failed.value.retryable and "no connection" in failed.value.render().message


def test_tls_is_checked_against_the_name_and_not_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = tmp_path / "certificate.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with receiver(tls=_tls_for("hooks.example", certificate)) as hook:

        def at(host: str) -> webhook.Target:
            url = f"https://{host}:{hook.port}/"
            return webhook.checked(url, allow_private=True, resolve=lambda *_: ["127.0.0.1"])

        webhook.tell(at("hooks.example"), {"event": "test"})
        with pytest.raises(WebhookFailed) as failed:
            webhook.tell(at("other.example"), {"event": "test"})
    assert "certificate" in failed.value.render().message.lower()
    assert told(hook) == ["test"]


# Deliveries of the worker


def test_an_alert_is_told_when_it_is_raised_and_when_it_clears(store: StateStore, alerts: AlertService) -> None:
    with receiver() as hook:
        choose(store.preferences, webhook_url=hook.url)
        alert = begun(store)
        alerts.courier().tick()
        store.alerts.clear(alert.id, announce=True)
        alerts.courier().tick()
        alerts.courier().tick()
    raised, cleared = (request.body for request in hook.received)
    assert set(raised) == {
        *("product", "version", "machine", "event", "code", "level", "subject", "message", "remedy", "params"),
        *("raised_at_ms", "cleared_at_ms"),
    }
    assert (raised["event"], raised["cleared_at_ms"]) == ("raised", None)
    assert raised["message"] == "The memory of GPU 0 (H100) is nearly full: 97 % (97.0 GiB of 100.0 GiB)."
    assert (cleared["event"], cleared["raised_at_ms"]) == ("cleared", alert.raised_at_ms)
    assert cleared["cleared_at_ms"] >= alert.raised_at_ms
    last = alerts.last_delivery()
    assert last is not None and (last.event, last.error) == ("cleared", None)


def test_a_delivery_that_fails_is_made_again_later(store: StateStore, alerts: AlertService) -> None:
    with receiver(500, 200) as hook:
        choose(store.preferences, webhook_url=hook.url)
        alert, courier = begun(store), alerts.courier()
        courier.tick()
        courier.tick()
        assert told(hook) == ["raised"], "it is not due yet"
        failed = alerts.last_delivery()
        assert failed is not None and failed.error is not None and failed.error.code == "webhook_failed"
        assert hurry(store, alert).attempts == 1
        courier.tick()
        courier.tick()
    assert told(hook) == ["raised", "raised"]
    last = alerts.last_delivery()
    assert last is not None and last.error is None


def test_after_some_tries_a_delivery_is_given_up_and_the_failure_stays_visible(
    store: StateStore, alerts: AlertService
) -> None:
    with receiver(503) as hook:
        choose(store.preferences, webhook_url=hook.url)
        alert, courier = begun(store), alerts.courier()
        for _ in range(20):
            courier.tick()
            hurry(store, alert)
    assert len(hook.received) == len(webhook.DELAYS_S) + 1
    last = alerts.last_delivery()
    assert last is not None and last.error is not None and "503" in last.error.render().message


def test_what_was_pending_is_delivered_after_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.sqlite3'}"
    before = StateStore(url)
    begun(before)
    before.close()
    after = StateStore(url)
    with receiver() as hook:
        choose(after.preferences, webhook_url=hook.url)
        AlertService(after.alerts, after.preferences, machine_id=HERE, allow_private=True).courier().tick()
    after.close()
    assert told(hook) == ["raised"]


@pytest.mark.usefixtures("quick")
def test_a_receiver_that_hangs_holds_up_neither_the_worker_nor_its_end(store: StateStore, alerts: AlertService) -> None:
    with receiver(HANGS) as hook:
        choose(store.preferences, webhook_url=hook.url)
        alert, courier = begun(store), alerts.courier()
        courier.start()
        until(lambda: hook.received)
        store.alerts.clear(alert.id, announce=True)
        courier.close()
        assert not any(thread.name == webhook.THREAD for thread in threading.enumerate())
    again = store.alerts.get(alert.id)
    assert again is not None and (again.pending_event, again.attempts) == ("raised", 1)


def test_the_private_address_that_was_permitted_once_is_refused_later(store: StateStore) -> None:
    with receiver() as hook:
        choose(store.preferences, webhook_url=hook.url)
        begun(store)
        strict = AlertService(store.alerts, store.preferences, machine_id=HERE, allow_private=False)
        strict.courier().tick()
    last = strict.last_delivery()
    assert hook.received == [] and last is not None and isinstance(last.error, WebhookRefused)


def test_without_an_address_nothing_is_told_now_or_later(store: StateStore, alerts: AlertService) -> None:
    alert = begun(store)
    alerts.courier().tick()
    with receiver() as hook:
        choose(store.preferences, webhook_url=hook.url)
        hurry(store, alert)
        alerts.courier().tick()
    assert hook.received == [] and alerts.last_delivery() is None


def test_the_address_stands_in_no_log(store: StateStore, alerts: AlertService, tmp_path: Path) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    log.configure(tmp_path, "worker")
    try:
        with receiver(500) as hook:
            choose(store.preferences, webhook_url=f"{hook.url}/{SECRET}")
            alert, courier = begun(store), alerts.courier()
            for _ in range(len(webhook.DELAYS_S) + 1):
                courier.tick()
                hurry(store, alert)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    said = (tmp_path / "worker.log").read_text("utf-8")
    assert "given up" in said and SECRET not in said
    assert SECRET not in str(store.preferences.get("", "webhook_last"))


def _tls_for(name: str, certificate: Path) -> ssl.SSLContext:
    """A server's side of TLS with a certificate for a name, which is written down so that it can be trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = certificate.with_suffix(".key")
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    return context
