"""Ports of this machine for servers that tests start."""

import socket
from secrets import randbelow


def free_port() -> int:
    """One that no other program is given meanwhile: systems take those of outgoing connections from 32768 on."""
    while True:
        port = 15_000 + randbelow(15_000)
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)):
                return port
