"""The web server, here and in a container; gunicorn reads this file from the folder it is started in."""

import os

bind = os.environ.get("WEB_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Pages wait for PostgreSQL only, so a few threads fill a process; the connection pool has as many places.
threads = 4
timeout = 30
graceful_timeout = 10
max_requests = 5000
max_requests_jitter = 500
# Heartbeat files must not lie on a disk: a slow one would look like a hung worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112  # not a secret
accesslog = "-"
# Address without query and no Referer: a sign-in's way back carries the authorization code there.
access_log_format = '%(h)s %(t)s "%(m)s %(U)s" %(s)s %(b)s %(L)s'
errorlog = "-"
# A socket for controlling the server, in the home folder by default: nobody uses it here.
control_socket_disable = True
