"""A TCP proxy whose packets can vanish: nothing arrives, nobody is told, as when a cable is cut or a firewall drops.

`vanish` attaches a filter to the proxy's own sockets by which the kernel drops every packet that comes in, before it
acknowledges it (SO_ATTACH_FILTER, Linux): to both sides the other one is simply silent. `come_back` takes it off.
"""

import contextlib
import ctypes
import socket
import struct
import threading
from types import TracebackType
from typing import Self

# <asm/socket.h>
_ATTACH_FILTER, _DETACH_FILTER = 26, 27
_RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF_RET | BPF_K, 0 bytes of the packet kept
_CHUNK = 1 << 16


class Vanishing:
    """A proxy from a port of its own to `host`:`port`; a context that ends it."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._sockets = {self._listener}
        self._lock = threading.Lock()
        self._vanished = False
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        """Take connections."""
        threading.Thread(target=self._take, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything."""
        with self._lock:
            for one in self._sockets:
                one.close()

    def vanish(self) -> None:
        """Let every packet to either side's end of the proxy vanish."""
        kept = ctypes.create_string_buffer(_RETURN_NOTHING)
        program = struct.pack("HL", 1, ctypes.addressof(kept))
        with self._lock:
            for one in self._sockets:
                one.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)

    def come_back(self) -> None:
        """Let packets through again."""
        with self._lock:
            for one in self._sockets:
                one.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)

    def _take(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self._sockets |= {near, far}
            for source, drain in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, drain), daemon=True).start()

    def _pump(self, source: socket.socket, drain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                drain.sendall(data)
        with self._lock:
            for one in (source, drain):
                self._sockets.discard(one)
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
