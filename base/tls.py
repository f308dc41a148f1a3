"""One TLS session in which we only send, and whose end tells whether the other side has read everything."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

from base.exchange import Deadline, connect

_CHUNK = 16 * 1024


class Session:
    """A client's side of a TLS session over a connected socket.

    `ssl.SSLSocket.unwrap` can't be used for what `end` is for: OpenSSL takes a fatal alert, with which a server
    turns us away, for the end of the session as well. Here what the server says last is read as data would be.
    """

    def __init__(self, raw: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def begin(self) -> None:
        """The handshake. Raises OSError (ssl.SSLError is one)."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush()  # the alert that tells the server why
                raise
            else:
                return self._flush()

    def certificate(self) -> bytes:
        """The server's, in DER, once the handshake is over."""
        return self._tls.getpeercert(binary_form=True) or b""

    def send(self, data: bytes) -> None:
        """Hand all of it to the network. Raises OSError."""
        self._tls.write(data)
        self._flush()

    def end(self) -> None:
        """Say that nothing follows, and wait until the other side says so too: then it has read everything.

        Raises OSError when it hangs up, or turns us away, or hasn't said so when the session's time is over.
        """
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()  # writes our close_notify; of the server nothing was fed since the handshake
        self._flush()
        while True:
            try:
                if not self._tls.read(_CHUNK):
                    return
            except ssl.SSLWantReadError:
                self._feed()
            except ssl.SSLZeroReturnError:
                return

    def _flush(self) -> None:
        self._raw.sendall(self._outgoing.read())

    def _feed(self) -> None:
        data = self._raw.recv(_CHUNK)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


@contextlib.contextmanager
def session(
    address: tuple[str, int], context: ssl.SSLContext, *, connect_seconds: float, seconds: float
) -> Iterator[Session]:
    """A session with a server whose certificate names its host; all of it, the end included, takes `seconds` at most.

    Raises OSError.
    """
    with connect(address, Deadline(seconds), connect_seconds=connect_seconds) as raw:
        made = Session(raw, context, address[0])
        made.begin()
        yield made
