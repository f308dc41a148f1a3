"""The web server, here and in a container; gunicorn reads this file from the folder it is started in."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

bind = os.environ.get("WEB_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Pages wait for PostgreSQL only, so a few threads fill a process; the connection pool has as many places.
threads = 4
timeout = 30
# A client that stops reading is let go after so long, so that it holds no thread for good: gunicorn has no such bound.
SEND_SECONDS = 20
# Longer than that, so that every export that is under way when the process has to go says so in the trail.
graceful_timeout = 30
# Its sendfile would wait for a client that stops reading for ever. No max_requests either: whatever is under way when a
# process has had its number is cut off.
sendfile = False
# Heartbeat files must not lie on a disk: a slow one would look like a hung worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112  # not a secret
accesslog = "-"
# Address without query and no Referer: a sign-in's way back carries the authorization code there.
access_log_format = '%(h)s %(t)s "%(m)s %(U)s" %(s)s %(b)s %(L)s'
errorlog = "-"
# A socket for controlling the server, in the home folder by default: nobody uses it here.
control_socket_disable = True


def when_ready(server: Any) -> None:
    """Connections have the time to send from the socket that they come in by; gunicorn sets none."""
    for listener in server.LISTENERS:
        # Of one wait for room: what the client takes at the very end makes it begin anew, so that it lasts some times that.
        wait = struct.pack("ll", SEND_SECONDS, 0)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
        if listener.sock.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
            # Linux's own: of data that nobody acknowledges, and of a client that takes nothing.
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SEND_SECONDS * 1000)


def post_worker_init(worker: Any) -> None:
    """Exports end, with their event, as soon as this process has been told to."""
    from audit.exporting.running import end_when

    end_when(lambda: not worker.alive)
