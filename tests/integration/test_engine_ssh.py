"""SSH tunnels under the supervisor: a real sshd, a real server behind it, and keys made for the test."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.core.errors import InvalidValue, ServerNotReady
from services.serving import children, host_keys
from services.serving.engines.protocol import Place
from services.serving.engines.ssh import Ssh
from services.serving.places import folder_of
from services.serving.states import FAILED, READY
from services.store.servers import ServerRecord
from tests.engines.desk import Desk
from tests.fakes.engine import MODEL
from tests.fakes.processes import command_lines
from tests.fakes.sshd import Sshd, make_key, sshd


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="module")
def far_server() -> Iterator[int]:
    """The port of a model server that, seen from here, stands on the other machine."""
    port = children.free_port([])
    argv = [sys.executable, "-m", "tests.fakes.engine", "--port", str(port)]
    process = subprocess.Popen(argv, cwd=children.ROOT)
    deadline = time.monotonic() + 30
    while children.port_is_free(port):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield port
    process.kill()
    process.wait()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "home", tmp_path)
    yield desk
    desk.close()


def choices(box: Sshd, far_port: int, **more: Any) -> dict[str, Any]:
    reach = {"host": "127.0.0.1", "port": box.port, "user": box.user, "identity_file": str(box.key)}
    return {**reach, "remote_port": far_port, **more}


def tunnel(desk: Desk, box: Sshd, far_port: int, *, trusted: bool = True, **more: Any) -> ServerRecord:
    row = desk.service.create("box", "ssh", choices(box, far_port, **more))
    if trusted:
        host_keys.accept(folder_of(desk.layout, row), host_keys.fetch("127.0.0.1", box.port))
    return desk.settled("box")


def refusal(row: ServerRecord) -> str:
    assert row.state == FAILED and row.error_params, row
    return str(row.error_params["line"])


def test_a_server_behind_a_tunnel_answers_and_the_tunnel_is_gone_after_it_was_stopped(
    desk: Desk, box: Sshd, far_server: int
) -> None:
    row = tunnel(desk, box, far_server, compression=True)
    assert row.state == READY, desk.log(row)
    assert desk.service.models("box") == [MODEL]
    assert desk.service.smoke_test("box").answer == "Hello there."
    desk.stopped("box")


def test_a_host_key_that_nobody_has_accepted_opens_no_tunnel(desk: Desk, box: Sshd, far_server: int) -> None:
    row = tunnel(desk, box, far_server, trusted=False)
    assert "Host key verification failed" in refusal(row) or "host key is known" in refusal(row)


def test_a_machine_that_shows_another_key_than_the_accepted_one_opens_no_tunnel(
    desk: Desk, box: Sshd, far_server: int, tmp_path: Path
) -> None:
    row = desk.service.create("box", "ssh", choices(box, far_server))
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()
    line = f"[127.0.0.1]:{box.port} {other[0]} {other[1]}"
    host_keys.accept(folder_of(desk.layout, row), [host_keys.HostKey("ssh-ed25519", "", line)])
    assert desk.settled("box").state == FAILED
    assert any("HOST IDENTIFICATION HAS CHANGED" in said for said in desk.log(row))


def test_the_fingerprint_that_is_shown_is_the_one_of_the_machines_key(box: Sshd, tmp_path: Path) -> None:
    (key,) = host_keys.fetch("127.0.0.1", box.port)
    shown = subprocess.run(["ssh-keygen", "-lf", str(box.host_key)], capture_output=True, text=True, check=True).stdout
    assert key.kind == "ssh-ed25519" and key.fingerprint == shown.split()[1]
    host_keys.accept(tmp_path / "server", [key])
    assert host_keys.accepted(tmp_path / "server") == [key] and host_keys.accepted(tmp_path) == []


def test_a_key_is_trusted_on_the_command_line_by_its_fingerprint_and_no_other(box: Sshd, own_home: Path) -> None:
    reach = ["--host", "127.0.0.1", "--port", str(box.port)]
    created = lectern("server", "create", "cli-box", "--engine", "ssh", "--gateway-ports", *reach)
    assert created.returncode == 0 and "without a login" in created.stderr
    (shown,) = json.loads(lectern("--json", "server", "trust", "cli-box").stdout)
    assert shown["fingerprint"] == host_keys.fetch("127.0.0.1", box.port)[0].fingerprint and not shown["accepted"]
    assert lectern("server", "trust", "cli-box", "--fingerprint", "SHA256:other").returncode != 0
    (trusted,) = json.loads(
        lectern("--json", "server", "trust", "cli-box", "--fingerprint", shown["fingerprint"]).stdout
    )
    assert trusted["accepted"]
    (later,) = json.loads(lectern("--json", "server", "trust", "cli-box").stdout)
    assert later["accepted"]


def lectern(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services", *arguments]
    return subprocess.run(command, cwd=children.ROOT, capture_output=True, text=True, timeout=60)


def test_a_machine_without_an_sshd_shows_no_key() -> None:
    with pytest.raises(ServerNotReady):
        host_keys.fetch("127.0.0.1", children.free_port([]))
    with pytest.raises(InvalidValue):
        host_keys.fetch("-oProxyCommand=x")


def test_a_wrong_key_is_refused_and_said_so(desk: Desk, box: Sshd, far_server: int, tmp_path: Path) -> None:
    row = tunnel(desk, box, far_server, identity_file=str(make_key(tmp_path / "stranger")))
    assert "Permission denied" in refusal(row)


def test_a_passphrase_opens_the_key_and_stands_on_no_command_line(desk: Desk, box: Sshd, far_server: int) -> None:
    locked = make_key(box.key.with_name("locked_key"), "open sesame")
    with (box.key.with_name("authorized_keys")).open("ab") as allowed:
        allowed.write(locked.with_suffix(".pub").read_bytes())
    row = tunnel(desk, box, far_server, identity_file=str(locked), password="open sesame")
    assert row.state == READY, desk.log(row)
    commands = command_lines(children.owned(None, row.launch_token)).values()
    assert commands and not [words for words in commands if "sesame" in " ".join(words)]
    assert "sesame" not in (folder_of(desk.layout, row) / "launch.json").read_text()
    assert desk.service.show("box").spec["password"] == ""
    desk.stopped("box")
    desk.service.change("box", {"password": "shut", "keep_password": True})
    assert "Permission denied" in refusal(desk.settled("box"))
    assert desk.service.show("box").spec["password"] == "shut"


def test_a_tunnel_that_was_cut_comes_back(desk: Desk, far_server: int, tmp_path: Path) -> None:
    with sshd(tmp_path / "one") as first:
        assert tunnel(desk, first, far_server).state == READY
        port = first.port
    desk.until("box", lambda row: row.state == FAILED)
    with sshd(tmp_path / "one", port):
        desk.service.start("box")
        desk.until("box", lambda row: row.state == READY)
        assert desk.service.models("box") == [MODEL]
        desk.stopped("box")


def test_a_port_that_cannot_be_forwarded_ends_the_tunnel(desk: Desk, box: Sshd, far_server: int) -> None:
    """sshd refuses the far end only when it is used; the near end is refused at once."""
    row = desk.service.create("box", "ssh", choices(box, far_server))
    command = Ssh().launch(row.spec, Place(far_server, folder_of(desk.layout, row), desk.layout.engines))
    host_keys.accept(folder_of(desk.layout, row), host_keys.fetch("127.0.0.1", box.port))
    done = subprocess.run(command.argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 255 and "Could not request local forwarding" in done.stderr
