"""Telling an address of alerts: which addresses may be told, one POST, and the thread that delivers what is pending.

An address that an operator enters must not become a way into the network of the machine: its host is resolved once,
every address that it leads to must be public (unless a setting permits others), and the connection goes to exactly the
address that was looked at. No redirect is followed and no proxy is asked. The path of such an address is often a
secret: it stands in no log and in no error.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from services import __version__
from services.core.clock import now_ms
from services.core.errors import AppError, InvalidValue, WebhookFailed, WebhookRefused
from services.core.i18n import N_
from services.core.log import incident
from services.core.phrases import phrase
from services.store.alerts import AlertRecord, AlertRows

logger = logging.getLogger(__name__)

TIMEOUT_S = 5.0
"""For a whole delivery, from the connection to the status."""
POLL_S = 1.0
THREAD = "webhook"
DELAYS_S = (5, 30, 120, 600, 1800)
"""Waiting times after failed tries; one more failure, and the event is given up."""
FIELD = N_("webhook address")
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_IPV6_UNICAST = ipaddress.ip_network("2000::/3")
"""All that is given out of IPv6; the rest is local, multicast or reserved."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be told: where to connect, and what to call it there."""

    url: httpx.URL
    host: str
    port: int
    addresses: tuple[str, ...]

    @property
    def host_header(self) -> str:
        """The host as HTTP names it."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS[self.url.scheme] else f"{name}:{self.port}"


def resolved(host: str, port: int) -> list[str]:
    """The addresses that the system knows for a host, in its order of preference. Raises: OSError, UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked(url: str, *, allow_private: bool, resolve: Resolve = resolved) -> Target:
    """Look whether an address may be told, resolving its host.

    Raises: InvalidValue where it is no http(s) address, WebhookRefused where it leads to an address that is not
        public, WebhookFailed where its host is not known.
    """
    parts = _parts(url)
    host = parts.raw_host.decode("ascii").strip("[]")
    port = parts.port or _PORTS[parts.scheme]
    try:
        addresses = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise WebhookFailed(host=host, reason=N_("this name is not known")) from error
    for address in addresses:
        if not allow_private and not is_public(address):
            raise WebhookRefused(host=host, address=address)
    return Target(parts, host, port, tuple(addresses))


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also where it carries an IPv4 address within."""
    ip = _inner(ipaddress.ip_address(address))
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _IPV6_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast


def tell(target: Target, body: Mapping[str, Any]) -> None:
    """POST a JSON document once. Raises: WebhookFailed."""
    content = json.dumps(body, ensure_ascii=False).encode()
    try:
        # A loop of its own, which the calling thread never gets to know: pages call this as well.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            status = runner.run(_post(target, content))
    except (TimeoutError, httpx.TimeoutException) as error:
        reason: Any = phrase(N_("no answer within {seconds} s"), seconds=int(TIMEOUT_S))
        raise WebhookFailed(host=target.host, reason=reason) from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = phrase(N_("no connection ({cause})"), cause=str(error) or type(error).__name__)
        raise WebhookFailed(host=target.host, reason=reason) from error
    if not 200 <= status < 300:
        raise WebhookFailed(host=target.host, reason=phrase(N_("it answered with status {status}"), status=status))


class Courier:
    """The worker's deliveries, in a thread of their own: a receiver that hangs holds up nothing else."""

    def __init__(
        self,
        rows: AlertRows,
        send: Callable[[AlertRecord], None],
        note: Callable[[str, AppError | None], None],
        *,
        machine_id: str,
        is_on: Callable[[], bool],
    ) -> None:
        """
        Args:
            send: delivers what is pending of an alert; raises AppError.
            note: keeps the event and how its delivery went.
            is_on: whether there is an address to tell.
        """
        self._rows = rows
        self._send = send
        self._note = note
        self._machine_id = machine_id
        self._is_on = is_on
        self._ending = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; a delivery that is under way counts as not made, and is made again after the next start."""
        self._ending.set()
        if self._thread.ident:
            self._thread.join(timeout=TIMEOUT_S + 1)

    def tick(self) -> None:
        """Make each delivery that is due, once."""
        due = self._rows.due(self._machine_id)
        if due and not self._is_on():
            self._rows.hush(self._machine_id)
            return
        for record in due:
            if self._ending.is_set():
                return
            self._deliver(record)

    def _deliver(self, record: AlertRecord) -> None:
        event = record.pending_event or ""
        try:
            self._send(record)
        except AppError as error:
            self._note(event, error)
            self._try_later(record, error)
        else:
            self._note(event, None)
            self._rows.told(record.id)

    def _try_later(self, record: AlertRecord, error: AppError) -> None:
        if record.attempts >= len(DELAYS_S):
            logger.warning("webhook: %s of %s given up: %s", record.pending_event, record.code, error.code)
            self._rows.told(record.id)
        else:
            due_at_ms = now_ms() + DELAYS_S[record.attempts] * 1000
            self._rows.postpone(record.id, record.attempts + 1, due_at_ms)

    def _run(self) -> None:
        while not self._ending.wait(POLL_S):
            try:
                self.tick()
                self._failing = False
            except Exception as error:  # noqa: BLE001 - the next look is another try
                if not self._failing:
                    incident(logger, error, "telling the webhook")
                self._failing = True


async def _post(target: Target, content: bytes) -> int:
    headers = {
        "Host": target.host_header,
        "Content-Type": "application/json",
        "User-Agent": f"Lectern/{__version__}",
    }
    failure: httpx.ConnectError | None = None
    async with asyncio.timeout(TIMEOUT_S):
        async with httpx.AsyncClient(
            verify=ssl.create_default_context(), trust_env=False, follow_redirects=False, timeout=TIMEOUT_S
        ) as client:
            for address in target.addresses:
                request = client.build_request(
                    "POST",
                    target.url.copy_with(host=address, port=target.port),
                    content=content,
                    headers=headers,
                    extensions={"sni_hostname": target.host},
                )
                try:
                    reply = await client.send(request, stream=True)
                except httpx.ConnectError as error:
                    failure = error
                    continue
                await reply.aclose()
                return reply.status_code
    raise failure or httpx.ConnectError("")


def _parts(url: str) -> httpx.URL:
    text = url.strip()
    try:
        parts = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise _invalid(N_("it names no server")) from error
    if parts.scheme not in _PORTS:
        raise _invalid(N_("it must begin with http:// or https://"))
    if parts.userinfo:
        raise _invalid(N_("a name or password must not stand in an address"))
    if not parts.host or parts.port == 0 or any(character.isspace() for character in text):
        raise _invalid(N_("it names no server"))
    return parts


def _invalid(reason: str) -> InvalidValue:
    return InvalidValue(field=FIELD, value="…", reason=reason)


def _inner(ip: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 address leads to, where it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
