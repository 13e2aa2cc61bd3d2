"""Calling an address somebody else chose: never this network's own, not by another name and not by a redirect.

The name is looked up once, every address it has is judged, and the connection goes to one of those: no second look-up
could say otherwise. No proxy of the environment is used, no redirect followed.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple
from urllib.parse import urlsplit

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PORTS = {"https": 443, "http": 80}
# Of an answer nobody reads more than its status.
_ANSWER_BYTES = 64 * 1024


class Answer(NamedTuple):
    """`retry_after_seconds`: None where the answer does not say."""

    status: int
    retry_after_seconds: int | None


class NotCalled(Exception):
    """No answer came. `problem`: address, name, private, connection, tls, timeout or protocol."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, allow_private: bool) -> Answer:
    """POST, all in all within so many seconds. Raises NotCalled."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    except (KeyError, ValueError) as error:
        raise NotCalled("address") from error
    if not host or (parts.scheme != "https" and not allow_private):
        raise NotCalled("address")
    until = time.monotonic() + seconds
    connected = _connect(_addresses(host, port, allow_private=allow_private), seconds)
    # A timeout of the socket is for each read: one byte a second would hold a worker for days.
    stopping = threading.Timer(max(until - time.monotonic(), 0), _stop, [connected])
    stopping.daemon = True
    stopping.start()
    try:
        if parts.scheme == "https":
            connected = ssl.create_default_context().wrap_socket(connected, server_hostname=host)
        return _exchange(
            connected,
            host,
            parts.netloc.rpartition("@")[2],
            f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}",
            body,
            headers,
        )
    except ssl.SSLError as error:
        raise NotCalled("timeout" if time.monotonic() >= until else "tls") from error
    except (OSError, HTTPException, ValueError) as error:
        raise NotCalled("timeout" if isinstance(error, TimeoutError) or time.monotonic() >= until else "protocol") from error
    finally:
        stopping.cancel()
        connected.close()


def is_public(address: str) -> bool:
    """Whether an address belongs to nobody's own network, also where one kind is written inside another."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inside = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inside is None and ip in _NAT64:
            inside = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inside is not None:
            return is_public(str(inside))
    return ip.is_global and not ip.is_multicast


def _addresses(host: str, port: int, *, allow_private: bool) -> list[tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotCalled("name") from error
    addresses = list(dict.fromkeys((str(address[0]), port) for *_rest, address in found))
    if not allow_private and not all(is_public(address) for address, _port in addresses):
        raise NotCalled("private")
    return addresses


def _connect(addresses: list[tuple[str, int]], seconds: float) -> socket.socket:
    problem: OSError | None = None
    for address in addresses[:2]:
        try:
            return socket.create_connection(address, timeout=seconds / 2)
        except OSError as error:
            problem = error
    raise NotCalled("timeout" if isinstance(problem, TimeoutError) else "connection") from problem


def _exchange(connected: socket.socket, host: str, named: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    exchange = HTTPConnection(host)
    exchange.sock = connected
    exchange.request("POST", path, body, {**headers, "Host": named, "Connection": "close"})
    answer = exchange.getresponse()
    answer.read(_ANSWER_BYTES)
    given = (answer.getheader("Retry-After") or "").strip()
    return Answer(answer.status, int(given) if given.isascii() and given.isdecimal() and len(given) < 9 else None)


def _stop(connected: socket.socket) -> None:
    try:
        connected.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
