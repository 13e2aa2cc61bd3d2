"""An answer given before its request was read whole, such as 413, still reaches whoever sends: the rest is read away first.

Otherwise the server closes the connection on a client that is still sending, and all it sees is that the connection broke.
"""

from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
WsgiApplication = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
# A body up to this is in the server's and the system's buffers already.
_SMALL = 64 * 1024
# Whoever sends more than this of what is not wanted is cut off after all.
MOST_BYTES = 64 * 1024 * 1024


def read_away(application: WsgiApplication) -> WsgiApplication:
    """Wrap an application."""

    def wrapped(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        written = environ.get("CONTENT_LENGTH") or ""
        length = int(written) if written.isdecimal() else MOST_BYTES if "HTTP_TRANSFER_ENCODING" in environ else 0
        if length <= _SMALL:
            return application(environ, start_response)
        body = environ["wsgi.input"] = _Counted(environ["wsgi.input"])
        answer = application(environ, start_response)
        body.drain(min(length, MOST_BYTES))
        return answer

    return wrapped


class _Counted:
    """A request's body that knows how much of it was read."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._count = stream, 0

    def read(self, size: int = -1) -> bytes:
        return self._counted(self._stream.read(size))

    def readline(self, size: int = -1) -> bytes:
        return self._counted(self._stream.readline(size))

    def drain(self, length: int) -> None:
        """Read on until this many bytes were read in all, or there are no more."""
        while self._count < length and self.read(min(_SMALL, length - self._count)):
            pass

    def _counted(self, found: bytes) -> bytes:
        self._count += len(found)
        return found
