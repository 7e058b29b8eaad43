"""A tunnel to a server on another machine, such as a rented GPU box, through OpenSSH's own client."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_serializer, field_validator, model_validator

from services.core.i18n import N_
from services.serving.engines.protocol import LaunchCommand, Place, program_on_path
from services.serving.spec import ADVANCED, ManagedSpec

ASKPASS = Path(__file__).with_name("askpass.sh")
PASSWORD = "LECTERN_SSH_PASSWORD"  # noqa: S105 - the name of a variable
KNOWN_HOSTS = "known_hosts"
"""The accepted host key, in the server's folder; `services.serving.host_keys` writes it."""
INSTALL = "apt-get install openssh-client"
_HOST = re.compile(r"[A-Za-z0-9_.:-]+")
_ALIVE = {"ServerAliveInterval": "15", "ServerAliveCountMax": "3"}
"""A dead connection is noticed after 45 s; the supervisor then connects again."""


class SshSpec(ManagedSpec):
    """An OpenAI-compatible server that another machine's loopback address holds, reached through its sshd."""

    model: str = Field("", description=N_("name of the model to ask for; empty: the first that the server lists"))
    host: str = Field(description=N_("machine to connect to"))
    port: int = Field(22, ge=1, le=65535, description=N_("port of its sshd"))
    user: str = Field("", description=N_("user there; empty: what the SSH configuration says"))
    remote_host: str = Field("127.0.0.1", description=N_("address of the model server, as seen from that machine"))
    remote_port: int = Field(8000, ge=1, le=65535, description=N_("port of the model server there"))
    identity_file: str = Field("", description=N_("private key; empty: those of the SSH agent and the usual files"))
    password: SecretStr = Field(
        SecretStr(""), description=N_("password, or the key's passphrase; better use a key"), json_schema_extra=ADVANCED
    )
    keep_password: bool = Field(
        False,
        description=N_("keep the password in Lectern's database; otherwise it serves for one start"),
        json_schema_extra=ADVANCED,
    )
    compression: bool = Field(
        False, description=N_("compress what passes: for slow lines only"), json_schema_extra=ADVANCED
    )
    gateway_ports: bool = Field(
        False,
        description=N_("let other machines use the tunnel"),
        json_schema_extra={
            **ADVANCED,
            "warning": N_("Whoever can reach this machine can then use the server behind the tunnel, without a login."),
        },
    )
    api_key: SecretStr = Field(
        SecretStr(""), description=N_("key that the model server wants; empty: none"), json_schema_extra=ADVANCED
    )
    program: str = Field("", description=N_("path of an ssh program; empty: that of PATH"), json_schema_extra=ADVANCED)

    @field_validator("host", "user", "remote_host")
    @classmethod
    def _plain(cls, value: str) -> str:
        # A name that begins with a dash would be an option of ssh.
        if value and (value.startswith("-") or not _HOST.fullmatch(value)):
            raise ValueError(N_("it has characters that such a name cannot have"))
        return value

    @model_validator(mode="after")
    def _has_a_host(self) -> SshSpec:
        if not self.host:
            raise ValueError(N_("it is empty"))
        return self

    @field_serializer("password", "api_key")
    def _stored(self, secret: SecretStr) -> str:
        return secret.get_secret_value()

    def after_start(self) -> SshSpec:
        """What is kept once a tunnel was started: the password only where that was asked for."""
        return self if self.keep_password else self.model_copy(update={"password": SecretStr("")})


class Ssh:
    """Runs `ssh -N -L`."""

    key = "ssh"
    name = "SSH"
    spec = SshSpec
    environment = None

    def launch(self, spec: Mapping[str, Any], place: Place) -> LaunchCommand:
        """How the tunnel is opened. Raises: InvalidValue, EngineNotInstalled."""
        chosen = SshSpec.of(spec)
        program = program_on_path(self.name, chosen.program, "ssh", INSTALL)
        # Without -g an open bind address would be the tunnel's own choice; so each case names its own.
        bind = "*" if chosen.gateway_ports else "127.0.0.1"
        forward = f"{bind}:{place.port}:{_bracketed(chosen.remote_host)}:{chosen.remote_port}"
        argv = [program, "-N", "-T", "-L", forward, "-p", str(chosen.port)]
        argv += [*(["-g"] if chosen.gateway_ports else []), *(["-C"] if chosen.compression else [])]
        argv += [*(["-l", chosen.user] if chosen.user else []), *self._key(chosen)]
        argv += [part for key, value in self._options(chosen, place).items() for part in ("-o", f"{key}={value}")]
        env = {**self._password(chosen.password.get_secret_value()), **chosen.env}
        argv += [*chosen.extra_args, chosen.host]
        return LaunchCommand(argv, env, chosen.secrets(), kept_spec=chosen.after_start().row())

    @staticmethod
    def _key(chosen: SshSpec) -> list[str]:
        if not chosen.identity_file:
            return []
        return ["-i", str(Path(chosen.identity_file).expanduser()), "-o", "IdentitiesOnly=yes"]

    @staticmethod
    def _options(chosen: SshSpec, place: Place) -> dict[str, str]:
        known_hosts = str(place.folder / KNOWN_HOSTS).replace("%", "%%")
        return {
            "ExitOnForwardFailure": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": f'"{known_hosts}"',
            "GlobalKnownHostsFile": "none",
            "UpdateHostKeys": "no",
            "BatchMode": "no" if chosen.password.get_secret_value() else "yes",
            "NumberOfPasswordPrompts": "1",
            "ConnectTimeout": "15",
            "ControlMaster": "no",
            "ControlPath": "none",
            "ForwardAgent": "no",
            "ForwardX11": "no",
            **_ALIVE,
        }

    @staticmethod
    def _password(secret: str) -> dict[str, str]:
        """ssh asks the little program for it; the environment of a process is its user's own to read."""
        if not secret:
            return {}
        return {"SSH_ASKPASS": str(ASKPASS), "SSH_ASKPASS_REQUIRE": "force", PASSWORD: secret}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
