"""A real PgBouncer on loopback, in front of the tests' PostgreSQL server.

If it is not installed, root on Debian installs it by apt; otherwise an error names it.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Literal

from .debian import require_program
from .postgres import DATABASE, PASSWORD, USER, PostgresServer, free_port

__all__ = ["PgBouncer"]

PACKAGE = "pgbouncer"
"""The name of Debian's package."""

START_S = 60.0
"""Seconds for a start: it takes some milliseconds."""

SERVER_CONNECTIONS = 5
"""Connections to PostgreSQL: far fewer than the tests' clients want at once."""


class PgBouncer:
    """A pooler in one of the two modes that hosters offer."""

    def __init__(self, server: PostgresServer, mode: Literal["session", "transaction"]) -> None:
        self._program = require_program("pgbouncer", PACKAGE)
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="smm-pgbouncer-"))
        connections = SERVER_CONNECTIONS if mode == "transaction" else 50
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "plain",
            "auth_file": self._folder / "users",
            "pool_mode": mode,
            "default_pool_size": connections,
            "max_client_conn": 200,
        }
        lines = ["[databases]", f"{DATABASE} = host=127.0.0.1 port={server.port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (self._folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
        self._settings = self._folder / "settings"
        self._settings.write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            for each in (self._folder, *self._folder.iterdir()):
                os.chown(each, owner.pw_uid, owner.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The database's address for a journal, as a hoster writes it."""
        return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        # It refuses to run as root.
        user = {} if os.geteuid() else {"user": "postgres", "extra_groups": []}
        self._process = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603
            [self._program, "--quiet", self._settings],
            stdin=subprocess.DEVNULL, cwd=self._folder, start_new_session=True, **user,
        )  # fmt: skip
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            assert self._process is not None
            assert self._process.poll() is None, "PgBouncer does not start"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("PgBouncer does not accept connections")

    def stop(self) -> None:
        """Stop it, and remove its files."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_S)
        shutil.rmtree(self._folder, ignore_errors=True)
