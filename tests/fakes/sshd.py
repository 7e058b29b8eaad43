"""A real sshd on loopback, at a port without privileges and with keys of its own."""

from __future__ import annotations

import getpass
import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.serving import children

SSHD = Path("/usr/sbin/sshd")
START_S = 20.0


@dataclass(frozen=True, slots=True)
class Sshd:
    """Where it listens, who may log in, and with which key."""

    port: int
    user: str
    key: Path
    host_key: Path
    process: subprocess.Popen[bytes]


@contextmanager
def sshd(folder: Path, port: int | None = None, *, forwarding: bool = True) -> Iterator[Sshd]:
    """Run an sshd whose keys lie in `folder`, made where they are missing; skip where the machine has none."""
    if not SSHD.exists():
        missing = "sshd is not installed; on Debian: apt-get install openssh-server"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    host_key, key = make_key(folder / "host_key"), make_key(folder / "user_key")
    allowed = folder / "authorized_keys"
    allowed.write_bytes(key.with_suffix(".pub").read_bytes())
    port = port or children.free_port([])
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {host_key}\nAuthorizedKeysFile {allowed}\nPidFile none\n"
        f"StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"
        f"PermitRootLogin prohibit-password\nAllowTcpForwarding {'yes' if forwarding else 'no'}\n"
    )
    with (folder / "sshd.log").open("ab") as log:
        process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(config)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_S
        while children.port_is_free(port):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "sshd.log").read_text()
            time.sleep(0.05)
        yield Sshd(port, pwd.getpwuid(os.geteuid()).pw_name or getpass.getuser(), key, host_key, process)
    finally:
        for child in children.owned(children.identity(process.pid), None):
            child.kill()
        process.wait(10)


def make_key(path: Path, passphrase: str = "") -> Path:
    """A private key, with its public half beside it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", str(path)]
        subprocess.run(command, check=True)
    return path
