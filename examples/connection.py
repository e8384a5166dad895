"""What the socket examples share: messages of a WebSocket, come back to after every loss."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import websocket  # websocket-client

HOST = sys.argv[1] if len(sys.argv) > 1 else "localhost:8000"
SYMBOL = sys.argv[2] if len(sys.argv) > 2 else "BTCUSDT"
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 else None
REFUSED = range(4400, 4500)  # asking the same again would bring the same answer


def messages(path: str, *said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Messages of a path, heartbeats left out; `said` is sent whenever the connection is made."""
    left, pause = COUNT, 1.0
    while True:
        try:
            socket = websocket.create_connection(f"ws://{HOST}{path}", timeout=60)  # a heartbeat comes every 30 s
            for one in said:
                socket.send(json.dumps(one))
            while True:
                opcode, data = socket.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    code = int.from_bytes(data[:2], "big")
                    if code in REFUSED:
                        sys.exit(f"refused ({code})")
                    raise ConnectionError(f"closed ({code})")
                message, pause = json.loads(data), 1.0
                if message["type"] == "heartbeat":
                    continue
                yield message
                if left is not None and (left := left - 1) == 0:
                    socket.close()
                    return
        except (OSError, websocket.WebSocketException) as error:
            print(f"{error or type(error).__name__}; again in {pause:g} s", file=sys.stderr, flush=True)
            time.sleep(pause)
            pause = min(30.0, pause * 2)
