"""A small server of streams for tests of sockets: it tells a growing number for each stream that was asked for."""

import json
import threading
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

EVERY = 0.02


class StreamServer:
    """`mute` holds streams that never speak; `spoken` the messages of each connection with their times; `refusing`
    turns handshakes away; `stalled` keeps sockets open and silent."""

    def __init__(self):
        self.mute = set()
        self.spoken = []
        self.opened = []  # connections that are open
        self.refusing = self.stalled = False
        self.number = 0  # told as the same to all connections
        self._server = serve(
            self._talk, "127.0.0.1", 0, process_request=self._greet, ping_interval=0.1, ping_timeout=30
        )
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/stream"
        self._stop = threading.Event()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self):
        while not self._stop.wait(EVERY):
            self.number += 1

    def _greet(self, connection, request):
        return connection.respond(503, "busy") if self.refusing else None

    def _talk(self, connection):
        streams, messages, told = set(), [], None
        self.spoken.append(messages)
        self.opened.append(connection)
        try:
            while not self._stop.is_set():
                self._listen(connection, streams, messages)
                if not self.stalled and told != self.number:
                    told = self.number if told is None else told + 1
                    for name in sorted(streams - self.mute):
                        connection.send(json.dumps({"stream": name, "data": told}))
        except ConnectionClosed:
            pass
        finally:
            self.opened.remove(connection)

    def _listen(self, connection, streams, messages):
        try:
            request = json.loads(connection.recv(timeout=EVERY / 4))
        except TimeoutError:
            return
        messages.append((time.monotonic(), request["method"], request["params"]))
        change = streams.update if request["method"] == "SUBSCRIBE" else streams.difference_update
        change(request["params"])
        connection.send(json.dumps({"result": None, "id": request["id"]}))

    def cut(self):
        """Ends every connection without a word."""
        for connection in list(self.opened):
            connection.socket.shutdown(2)

    def stop(self):
        self._stop.set()
        self._server.shutdown()
