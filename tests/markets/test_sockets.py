"""Writers of live clients: nothing old after something new, nothing lost but what a newer message replaced."""

import asyncio
import struct
from socket import SO_SNDBUF, SOL_SOCKET

from hypothesis import given
from hypothesis import strategies as st

from markets.consumers import HEARTBEAT, HEARTBEAT_SECONDS, SLOW_SECONDS, Socket
from markets.sockets import COUNTERS, SEND_BUFFER, Frame, SendOutlet, Writer


class FakeOutlet:
    """Takes `room` frames, then is full until it is drained."""

    def __init__(self, room=10**9):
        self.room, self.left, self.full, self.closed = room, room, room == 0, False
        self.written = []
        self.drained = lambda: None

    def write(self, frame):
        assert not self.full
        self.written.append(frame)
        self.left -= 1
        self.full = self.left <= 0

    def drain(self):
        self.left, self.full = self.room, False
        self.drained()

    def close(self):
        self.closed = True


def test_a_frame_is_encoded_as_the_protocol_wants():
    for size in (0, 125, 126, 65_535, 65_536):
        body = b"x" * size
        wire = Frame(body).wire
        assert wire[0] == 0x81
        if size < 126:
            assert (wire[1], wire[2:]) == (size, body)
        elif size < 65_536:
            assert (wire[1], struct.unpack("!H", wire[2:4])[0], wire[4:]) == (126, size, body)
        else:
            assert (wire[1], struct.unpack("!Q", wire[2:10])[0], wire[10:]) == (127, size, body)
    assert Frame("é".encode()).text == "é"


@given(st.lists(st.one_of(st.integers(0, 3), st.none()), max_size=60), st.integers(1, 4))
def test_each_kind_comes_in_order_and_its_newest_always_comes(steps, room):
    """Steps: a message of one of four kinds, or the client reads."""
    outlet = FakeOutlet(room)
    writer = Writer(outlet)
    before = (COUNTERS.sent, COUNTERS.skipped)
    put: list[tuple[int, int]] = []
    for number, kind in enumerate(steps):
        if kind is None:
            outlet.drain()
            continue
        put.append((kind, number))
        writer.put(kind, Frame(f"{kind} {number}".encode()))
    for _ in range(5):
        outlet.drain()
    came = [tuple(map(int, frame.body.split())) for frame in outlet.written]
    assert set(came) <= set(put)
    for kind in range(4):
        numbers = [number for own, number in came if own == kind]
        assert numbers == sorted(set(numbers))
        asked = [number for own, number in put if own == kind]
        assert not asked or numbers[-1] == asked[-1]
    sent, skipped = COUNTERS.sent - before[0], COUNTERS.skipped - before[1]
    assert (sent, sent + skipped) == (len(came), len(put))
    assert writer.blocked_since is None


def test_what_waits_is_bounded_by_the_kinds():
    outlet = FakeOutlet(0)
    writer = Writer(outlet)
    for number in range(1000):
        writer.put("state", Frame(str(number).encode()))
        writer.put("status", Frame(b"status"))
    assert outlet.written == []
    outlet.room = 10
    outlet.drain()
    assert [frame.body for frame in outlet.written] == [b"999", b"status"]


def test_nothing_leaves_after_the_stop():
    outlet = FakeOutlet(1)
    writer = Writer(outlet)
    for _ in range(3):
        writer.put("state", Frame(b"x"))
    writer.stop()
    outlet.drain()
    writer.put("state", Frame(b"y"))
    assert (len(outlet.written), outlet.closed) == (1, True)


def test_a_server_without_an_outlet_of_its_own_is_waited_for():
    async def run():
        sent, gate = [], asyncio.Event()

        async def send(message):
            sent.append(message["text"])
            await gate.wait()

        writer = Writer(SendOutlet(send))
        for number in range(5):
            writer.put("state", Frame(str(number).encode()))
            await asyncio.sleep(0)
        assert sent == ["0"]
        gate.set()
        while len(sent) < 2:
            await asyncio.sleep(0)
        assert sent == ["0", "4"]

    asyncio.run(run())


class Connection:
    """A server's protocol that waits with `send` until its client reads, which it does not."""

    def __init__(self):
        self.transport = self
        self.limits, self.options = [], []
        self.cut = asyncio.Event()

    def set_write_buffer_limits(self, high):
        self.limits.append(high)

    def get_extra_info(self, name):
        return {"socket": self}[name]

    def setsockopt(self, *option):
        self.options.append(option)

    def abort(self):
        self.cut.set()

    async def send(self, message):
        await self.cut.wait()
        raise ConnectionError


def test_a_client_that_does_not_even_take_its_close_is_cut(monkeypatch):
    monkeypatch.setattr("markets.sockets.CLOSE_SECONDS", 0.01)

    async def run():
        connection = Connection()
        client = Socket({}, None, connection.send)
        assert connection.limits == [0]
        assert connection.options == [(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER)]
        client.writer.put("state", Frame(b"x"))
        client.writer.put("state", Frame(b"y"))
        await asyncio.sleep(0.05)
        assert not connection.cut.is_set()
        client.tick(client.writer.blocked_since + SLOW_SECONDS + 1)
        await asyncio.wait_for(client._closing, 30)  # it ends well, though its close never left
        assert connection.cut.is_set()

    asyncio.run(run())


def socket_with(outlet):
    async def send(message):
        socket.said.append(message)

    socket = Socket({"extensions": {"platform.outlet": outlet}}, None, send)
    socket.said = []
    return socket


def test_a_heartbeat_comes_every_half_minute():
    outlet = FakeOutlet()
    socket = socket_with(outlet)
    begun = socket._beat_at
    for second in range(1, 100):
        socket.tick(begun + second)
    assert outlet.written == [HEARTBEAT] * 3
    assert HEARTBEAT.body == b'{"type":"heartbeat"}'
    assert HEARTBEAT_SECONDS == 30


def test_a_client_that_takes_nothing_for_long_is_closed():
    async def run():
        outlet = FakeOutlet(0)
        socket = socket_with(outlet)
        socket.writer.put("state", Frame(b"x"))
        since = socket.writer.blocked_since
        slow = COUNTERS.slow
        socket.tick(since + SLOW_SECONDS - 1)
        assert socket._closing is None
        socket.tick(since + SLOW_SECONDS + 1)
        socket.tick(since + SLOW_SECONDS + 2)
        await socket._closing
        assert socket.said == [{"type": "websocket.close", "code": 1008}]
        assert COUNTERS.slow == slow + 1

    asyncio.run(run())
