"""A TCP proxy on this machine that cuts connections amid what they carry, either way."""

import socket
import threading
from contextlib import suppress


class CuttingProxy:
    """Passes connections on to a port of this machine.

    Args:
        port: where they lead.
        every: of so many connections one is cut: of the cut ones each other while it is answered,
            the rest while they ask. 0 cuts none, 1 each.
        after: bytes that come through before.
    """

    def __init__(self, port: int, every: int, after: int = 300) -> None:
        self.every, self.after, self.cuts = every, after, 0
        self._port, self._number = port, 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._number += 1
                cut = self.every and self._number % self.every == 0
                self.cuts += bool(cut)
                asking = cut and self.cuts % 2
                for source, sink, cutting in (
                    (client, server, asking),
                    (server, client, cut and not asking),
                ):
                    threading.Thread(
                        target=self._carry, args=(source, sink, cutting), daemon=True
                    ).start()

    def _carry(self, source: socket.socket, sink: socket.socket, cutting: bool) -> None:
        carried = 0
        with suppress(OSError):
            while content := source.recv(100):
                if cutting and (carried := carried + len(content)) > self.after:
                    break
                sink.sendall(content)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
