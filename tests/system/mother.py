"""The mother of the tests' gateways: a process that has imported the gateway, and forks one for each test that asks.

A script, whose standard input is one end of a pair of sockets. Each message there is a command in JSON, with two file
descriptors: what is to be the gateway's standard error, and a socket on which its process id (with a descriptor of the
process) and, at its end, its exit status are told. It ends with its other end. A gateway that nobody waits for any more is killed.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
from typing import Any

import bifrost.gateway
from bifrost.cli import main

MAX_COMMAND = 1024 * 1024


def commands(door: socket.socket) -> list[str]:
    """Fork for each command. Returns in the forked gateways, with their arguments; ends the process everywhere else."""
    while True:
        message, fds, _, _ = socket.recv_fds(door, MAX_COMMAND, 2)
        if not message:
            raise SystemExit
        errors, report = fds
        if os.fork() == 0:
            door.close()
            return attended(json.loads(message), errors, socket.socket(fileno=report))
        os.close(errors)
        os.close(report)


def attended(command: dict[str, Any], errors: int, report: socket.socket) -> list[str]:
    """Fork the gateway, and attend it to its end. Returns in the gateway."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        report.close()
        return awake(command, errors)
    os.close(errors)
    handle = os.pidfd_open(pid)
    socket.send_fds(report, [b"%d" % pid], [handle])
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.register(report, select.POLLIN)
    is_left = report.fileno() in {fd for fd, _ in poll.poll()}
    if is_left:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not is_left:
        report.send(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def awake(command: dict[str, Any], errors: int) -> list[str]:
    """Become what a process is that was started with that command; its arguments."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(errors, 2)
    os.close(errors)
    os.environ.clear()
    os.environ.update(command["env"])
    arguments: list[str] = command["arguments"]
    return arguments


if __name__ == "__main__":
    # Its children are nobody's to wait for: those who attend a gateway tell of it elsewhere.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    del bifrost  # It was only to be imported.
    gc.collect()
    gc.freeze()
    main(commands(socket.socket(fileno=os.dup(0))), prog_name="bifrost")
