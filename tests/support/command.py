"""The command `smmfanfast` for scripts in tests, forked from a process that has imported it.

A shell runs it as it would the real one: a small program hands its arguments, environment, folder
and standard streams to a server that this test process has started, and ends with the exit code of
the command. What the command would measure of the coverage is lost, and Python's own variables in
the environment have no effect. A test of signals, terminals, encodings or closed streams runs
`python -m smmfanfast_async` instead.
"""

import atexit
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from typing import NoReturn

from smmfanfast_async import cli

from . import forked

__all__ = ["command", "serve"]

ANSWER_S = 120.0
"""Maximum seconds for a command."""

STREAMS = 3

CLIENT = f"""\
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.settimeout({ANSWER_S})
    server.connect(os.path.join(os.path.dirname(__file__), "server"))
    socket.send_fds(server, [b"."], range({STREAMS}))
    server.sendall(json.dumps([os.getcwd(), dict(os.environ), sys.argv[1:]]).encode())
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(16)))
"""


@cache
def command() -> str:
    """Return the words of a shell that run `smmfanfast`; the first call starts the server."""
    folder = Path(tempfile.mkdtemp())
    client = folder / "client.py"
    client.write_text(CLIENT)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "server"))
        listening.listen()
        server = forked.start_process(serve, listening)

    @atexit.register
    def end() -> None:
        server.kill()
        server.join()
        shutil.rmtree(folder)

    return f"{sys.executable} -I -S {client}"


def serve(listening: socket.socket) -> None:
    """Run each command in a process of its own, until this one is killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # they are not waited for
    while True:
        connection, _ = listening.accept()
        with connection:
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listening.close()
                run(connection)


def run(connection: socket.socket) -> NoReturn:
    """Run the command that a client asks for, and end this process."""
    code: object = 1
    try:
        _, streams, _, _ = socket.recv_fds(connection, 1, STREAMS)
        with connection.makefile() as request:
            folder, environment, args = json.load(request)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[1:] = args
        cli.main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001  # as the interpreter would at the end
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(str(code).encode())
        os._exit(0)
