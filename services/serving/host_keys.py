"""Which host key an SSH tunnel may trust: fetched, shown by its fingerprint, and kept once somebody has accepted it."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from services.core.errors import EngineNotInstalled, InvalidValue, ServerNotReady
from services.core.i18n import N_
from services.core.paths import Layout
from services.core.phrases import phrase
from services.serving.engines.ssh import INSTALL, KNOWN_HOSTS, Ssh, SshSpec
from services.serving.places import folder_of
from services.store.servers import ServerRecord

TIMEOUT_S = 10
_PREFERRED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


@dataclass(frozen=True, slots=True)
class HostKey:
    """A machine's public key: its kind, its fingerprint as `ssh` shows it, and its line of a known_hosts file."""

    kind: str
    fingerprint: str
    line: str


def fetch(host: str, port: int = 22) -> list[HostKey]:
    """The keys that a machine shows at present, the best kind first. Whether they are its own, a person must tell.

    Raises: InvalidValue, EngineNotInstalled, ServerNotReady.
    """
    SshSpec.of({"host": host, "port": port})
    program = shutil.which("ssh-keyscan")
    if program is None:
        raise EngineNotInstalled(engine=Ssh.name, reason=phrase(N_("run: {command}"), command=INSTALL))
    argv = [program, "-T", str(TIMEOUT_S), "-p", str(port), host]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=3 * TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise ServerNotReady(name=host, url=f"{host}:{port}") from error
    keys = [_key(line) for line in done.stdout.splitlines() if line and not line.startswith("#")]
    if not keys:
        raise ServerNotReady(name=host, url=f"{host}:{port}")
    return sorted(keys, key=lambda key: _PREFERRED.index(key.kind) if key.kind in _PREFERRED else len(_PREFERRED))


def offered(row: ServerRecord) -> list[HostKey]:
    """The keys that the machine behind a tunnel shows at present. Raises: as `fetch`."""
    if row.engine != Ssh.key:
        raise InvalidValue(field=N_("engine"), value=row.engine, reason=N_("it is no SSH tunnel"))
    spec = SshSpec.of(row.spec)
    return fetch(spec.host, spec.port)


def trust(layout: Layout, row: ServerRecord, fingerprint: str) -> HostKey:
    """Accept the key with this fingerprint for a tunnel, if its machine shows it. Raises: InvalidValue, as `fetch`."""
    for key in offered(row):
        if key.fingerprint == fingerprint.strip():
            accept(folder_of(layout, row), [key])
            return key
    raise InvalidValue(field=N_("fingerprint"), value=fingerprint[:80], reason=N_("the machine shows no such key"))


def accept(folder: Path, keys: list[HostKey]) -> None:
    """Trust these keys, and no others, for the tunnel whose folder this is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f"{KNOWN_HOSTS}.draft"
    draft.write_text("".join(f"{key.line}\n" for key in keys), "utf-8")
    draft.replace(folder / KNOWN_HOSTS)


def accepted(folder: Path) -> list[HostKey]:
    """The keys that a tunnel trusts; none before somebody has accepted one."""
    try:
        return [_key(line) for line in (folder / KNOWN_HOSTS).read_text("utf-8").splitlines() if line]
    except FileNotFoundError:
        return []


def _key(line: str) -> HostKey:
    parts = line.split()
    try:
        _, kind, blob = parts[:3]
        digest = hashlib.sha256(base64.b64decode(blob, validate=True)).digest()
    except ValueError as error:
        raise InvalidValue(field=N_("host key"), value=line[:80], reason=N_("it is no host key")) from error
    return HostKey(kind, "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("="), line)
