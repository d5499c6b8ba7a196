# SPDX-License-Identifier: MIT
"""Ports of 127.0.0.1 for servers that do not pick one themselves."""
import socket


class Port:
    """Held until this object is gone: to all others who ask for any port the kernel gives another one.  The socket does
    not listen, so that a server with SO_REUSEADDR can do so."""

    def __init__(self) -> None:
        self.holder = socket.socket()
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.holder.bind(("127.0.0.1", 0))
        self.number = int(self.holder.getsockname()[1])
