"""A real PostgreSQL server on loopback, in a folder of its own, that tests may stop and restart.

If the server is not installed, root on Debian installs it by apt; otherwise an error names it.
"""

import atexit
import functools
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import asyncpg
import trustme

from .debian import require

__all__ = [
    "DATABASE",
    "PASSWORD",
    "USER",
    "PostgresServer",
    "free_port",
    "shared_server",
]

PACKAGE = "postgresql"
"""The name of Debian's package."""

PORTS = range(20_000, 32_000)
"""Below the ports that the kernel hands out: a stopped server finds its port free again."""

START_S = 60.0
"""Seconds for a start: it takes less than one, a recovery on a busy machine a few."""

USER, PASSWORD, DATABASE = "tester", "test-password", "orders"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "synchronous_commit": "on",
    "shared_buffers": "32MB",
    "max_connections": "120",
    "log_min_messages": "fatal",
}

FAST_SETTINGS = {"fsync": "off", "full_page_writes": "off"}
"""For tests: they kill processes and the server, which loses nothing that was written, but not the
machine."""

CLOSE_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
"""Closes all connections but one's own."""

_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class PostgresServer:
    """A server with one database, which `fresh` empties; with a certificate, it speaks TLS too.

    With `is_durable`, it waits for the disk, as in production.
    """

    def __init__(
        self, certificate: trustme.LeafCert | None = None, *, is_durable: bool = False
    ) -> None:
        self._certificate = certificate
        self._settings = SETTINGS if is_durable else SETTINGS | FAST_SETTINGS
        self._bin = require([PACKAGE], _newest, prepare=_forbid_own_cluster)
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """The database's address for a journal."""
        return f"postgresql+asyncpg://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        """Start the server, creating its files the first time, and wait until it answers."""
        if self._process is not None:
            return
        if self._folder is None:
            self._folder = self._create_files()
        settings = self._settings | ({} if self._certificate is None else {"ssl": "on"})
        options = [f"--{name}={value}" for name, value in settings.items()]
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(  # noqa: S603  # Debian's binary
                [self._bin / "postgres", "-D", self._folder / "data", f"-p{self.port}", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
                **_user_options(),
            )
        self._wait()

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server: `fast` closes connections, `immediate` is like a crash."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(_SIGNALS[mode])
            process.wait(START_S)

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server and start it on the same port."""
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """Stop the server and remove its files."""
        self.stop("immediate")
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Return a connection for the test itself, independent of any journal."""
        return await asyncpg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, database=DATABASE
        )

    async def fresh(self) -> str:
        """Empty the database, closing other connections, and return its address."""
        self.start()
        connection = await self.connect()
        try:
            await connection.execute(
                f"{CLOSE_OTHERS}; DROP SCHEMA public CASCADE; CREATE SCHEMA public"
            )
        finally:
            await connection.close()
        return self.url

    async def freeze(self) -> list[int]:
        """Suspend every connection and the server itself, as on a machine that is frozen.

        Returns the process ids for `thaw`.
        """
        assert self._process is not None
        connection = await self.connect()
        rows = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
        await connection.close()
        processes = [self._process.pid, *(row["pid"] for row in rows)]
        for each in processes:
            os.kill(each, signal.SIGSTOP)
        return processes

    def thaw(self, processes: list[int]) -> None:
        """Resume suspended processes."""
        for each in processes:
            os.kill(each, signal.SIGCONT)

    def _create_files(self) -> Path:
        """Create the files of a server, owned by the user it runs as."""
        folder = Path(tempfile.mkdtemp(prefix="smm-postgres-"))
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            for each in (folder, secret):
                os.chown(each, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", folder / "data", "-U", USER, f"--pwfile={secret}", "--no-sync",
                  "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", cwd=folder)  # fmt: skip
        if self._certificate is not None:
            self._write_certificate(self._certificate, folder / "data")
        script = f"CREATE DATABASE {DATABASE}".encode()
        self._run("postgres", "--single", "-D", folder / "data", "-F", "postgres",
                  cwd=folder, stdin=script)  # fmt: skip
        return folder

    def _write_certificate(self, certificate: trustme.LeafCert, folder: Path) -> None:
        """Write the files where the server looks for them by default."""
        files = {
            "server.crt": certificate.cert_chain_pems[0],
            "server.key": certificate.private_key_pem,
        }
        for name, content in files.items():
            path = folder / name
            path.write_bytes(content.bytes())
            path.chmod(0o600)
            if os.geteuid() == 0:
                owner = pwd.getpwnam("postgres")
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def _run(self, name: str, *arguments: str | Path, cwd: Path, stdin: bytes = b"") -> None:
        done = subprocess.run(  # noqa: S603  # Debian's binaries
            [self._bin / name, *arguments], cwd=cwd, input=stdin, capture_output=True, check=False,
            **_user_options(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()

    def _is_ready(self) -> bool:
        done = subprocess.run(  # noqa: S603  # Debian's binary
            [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", f"-p{self.port}"], check=False
        )
        return done.returncode == 0

    def _wait(self) -> None:
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            if self._is_ready():
                return
            time.sleep(0.02)
        log = self._folder / "log" if self._folder else None
        raise AssertionError(f"PostgreSQL does not start: {log and log.read_text()[-2000:]}")


@functools.cache
def shared_server(*, is_durable: bool = False) -> PostgresServer:
    """Return the one server of this process, started; it stops with the process."""
    server = PostgresServer(is_durable=is_durable)
    atexit.register(server.remove)
    server.start()
    return server


def _newest() -> Path | None:
    paths = [*Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    on_path = shutil.which("postgres")
    if on_path is not None:
        paths.append(Path(on_path).resolve())
    folders = [each.parent for each in paths if (each.parent / "initdb").exists()]
    return max(
        folders,
        default=None,
        key=lambda each: [int(part) for part in re.findall(r"\d+", str(each))],
    )


def _forbid_own_cluster() -> None:
    """Make Debian's package start no server of its own at once."""
    settings = Path("/etc/postgresql-common/createcluster.conf")
    if not settings.exists():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text("create_main_cluster = false\n")


def _user_options() -> dict[str, Any]:
    """Return arguments that run a process as another user: the server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    owner = pwd.getpwnam("postgres")
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def free_port() -> int:
    """Return a port that is free on loopback."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
