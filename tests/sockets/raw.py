"""A client without a library between: it reads when it is told to, and not before."""

import base64
import json
import os
import socket
from urllib.parse import urlsplit


class RawClient:
    """A client that reads only when it is told to."""

    def __init__(self, site, path, receive_buffer=4096):
        parts = urlsplit(site.address)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((parts.hostname, parts.port))
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.socket.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.socket.recv(1)
        self.buffer = b""
        self.socket.settimeout(60)

    def _take(self, size):
        while len(self.buffer) < size:
            part = self.socket.recv(65536)
            if not part:
                raise EOFError
            self.buffer += part
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def frame(self):
        """(opcode, payload) of the next frame."""
        first, size = self._take(2)
        if size == 126:
            size = int.from_bytes(self._take(2), "big")
        elif size == 127:
            size = int.from_bytes(self._take(8), "big")
        return first & 15, self._take(size)

    def update(self):
        """The number of the next state."""
        while True:
            opcode, payload = self.frame()
            message = json.loads(payload) if opcode == 1 else {}
            if message.get("type") == "update":
                return message["seq"]

    def rest(self):
        """The texts that still come, up to the end of the connection, and the code of its close if that came."""
        texts = []
        try:
            while True:
                opcode, payload = self.frame()
                if opcode == 8:
                    return texts, int.from_bytes(payload[:2], "big")
                if opcode == 1:
                    texts.append(payload)
        except (EOFError, OSError):
            return texts, None
