"""Sockets and what keeps them up: subscriptions, pace, pings, losses, silence, renewal with overlap."""

import json
import threading
import time
from collections import defaultdict

import pytest

from collector import links as links_module
from collector.links import Links
from collector.subscriptions import Subscriptions
from collector.websocket import Line, Speech, Stage
from tests.collector.stream_server import StreamServer

PAUSE = 0.05


@pytest.fixture
def server():
    running = StreamServer()
    yield running
    running.stop()


def speech_of(url, **options):
    def request(method):
        return lambda names, number: json.dumps({"method": method, "params": list(names), "id": number})

    return Speech(url, request("SUBSCRIBE"), request("UNSUBSCRIBE"), **{"pause": PAUSE, **options})


class Keeper:
    """Links with a thread that keeps them, and what they told: frames by stream, events, losses."""

    def __init__(self, speech):
        self.speech = speech
        self.frames = defaultdict(list)
        self.events, self.losses = [], []
        self.links = Links(self, self.take, lambda: None)
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def take(self, line, data, received_at):
        frame = json.loads(data)
        if "stream" in frame:
            line.heard[frame["stream"]] = time.monotonic()
            self.frames[frame["stream"]].append(frame["data"])

    def lost(self, link, streams):
        self.losses.append(set(streams))

    def told(self, kind, message, link, metadata):
        self.events.append((kind, message, metadata))

    def want(self, *names):
        with self._lock:
            self.links.want("spot", self.speech, names)

    def kinds(self):
        return [kind for kind, _, _ in self.events]

    def _run(self):
        while not self._end.wait(0.01):
            with self._lock:
                self.links.tick()

    def stop(self):
        self._end.set()
        self._thread.join()
        self.links.close("end")


@pytest.fixture
def keeper(request):
    made = []

    def make(speech):
        made.append(Keeper(speech))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def until(condition, seconds=40.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come to pass"
        time.sleep(0.01)


def test_streams_are_asked_for_in_parts_and_in_time(server, keeper):
    kept = keeper(speech_of(server.url, most_names=200, most_streams=450))
    names = [f"s{number:03}@depth" for number in range(450)]
    kept.want(*names)
    until(lambda: len(kept.frames) == 450)
    assert [len(names) for _, _, names in server.spoken[0]] == [200, 200, 50]


def test_messages_keep_the_servers_pace():
    said = []
    line = SilentLine("one")
    line.stage, line.send = Stage.OPEN, lambda text: said.append(json.loads(text))
    channel = Subscriptions(line)
    channel.ask({f"s{number}" for number in range(450)})
    times = [step / 100 for step in range(40) if channel.speak(step / 100, len(said))]
    assert times == [0.0, 0.05, 0.1]
    assert [len(message["params"]) for message in said] == [200, 200, 50]
    channel.leave({"s1", "s2"})
    channel.ask({"s2"})
    channel.leave({"s2"})
    assert [channel.speak(1.0 + step, 7) for step in range(5)].count(True) == 2  # nobody wants s2 any more
    assert [message["method"] for message in said[3:]] == ["UNSUBSCRIBE", "UNSUBSCRIBE"]


def test_more_streams_than_a_line_carries_take_another(server, keeper):
    kept = keeper(speech_of(server.url, most_streams=3))
    kept.want("a", "b", "c", "d", "e")
    until(lambda: len(kept.frames) == 5)
    assert sorted(len(link.streams) for link in kept.links.all()) == [2, 3]


def test_what_is_wanted_changes_over_the_running_line(server, keeper):
    kept = keeper(speech_of(server.url))
    kept.want("a", "b")
    until(lambda: len(kept.frames) == 2)
    kept.want("b", "c")
    until(lambda: len(kept.frames) == 3)
    assert [(method, names) for _, method, names in server.spoken[0]] == [
        ("SUBSCRIBE", ["a", "b"]),
        ("UNSUBSCRIBE", ["a"]),
        ("SUBSCRIBE", ["c"]),
    ]
    assert len(server.spoken) == 1
    seen = len(kept.frames["a"])
    until(lambda: len(kept.frames["c"]) > 5)
    assert len(kept.frames["a"]) <= seen + 1


def test_pings_are_answered(server, keeper):
    kept = keeper(speech_of(server.url))
    kept.want("a")
    until(lambda: server.opened and server.opened[0].latency > 0)  # set by a pong whose payload is the ping's
    until(lambda: kept.frames["a"])


def test_a_cut_is_told_and_mended(server, keeper):
    kept = keeper(speech_of(server.url))
    kept.want("a", "b")
    until(lambda: len(kept.frames) == 2)
    server.cut()
    until(lambda: "RECONNECTING" in kept.kinds())
    assert kept.losses[0] == {"a", "b"}
    kept.frames.clear()
    until(lambda: len(kept.frames) == 2)
    assert kept.kinds() == ["CONNECTED", "DISCONNECTED", "RECONNECTING", "CONNECTED"]
    (link,) = kept.links.all()
    assert (link.reconnects, link.state) == (1, "connected")
    assert 0 < link.uptime(time.time()) < 100


def test_a_stream_that_never_speaks_is_asked_for_again_and_harms_no_other(server, keeper, monkeypatch):
    monkeypatch.setattr(links_module, "FIRST_WITHIN", 2.5)
    server.mute = {"b"}
    kept = keeper(speech_of(server.url))
    kept.want("a", "b")
    until(lambda: {"b"} in kept.losses)
    assert kept.links.all()[0].dead() == {"b"}
    until(lambda: ("SUBSCRIBE", ["b"]) in [(method, names) for _, method, names in server.spoken[0]])
    server.mute = set()
    until(lambda: kept.frames["b"])
    until(lambda: not kept.links.all()[0].dead())
    assert "DISCONNECTED" not in kept.kinds()


def test_a_silent_socket_gives_way_to_another(server, keeper, monkeypatch):
    monkeypatch.setattr(links_module, "SILENT_AFTER", 2.5)
    kept = keeper(speech_of(server.url))
    kept.want("a", "b")
    until(lambda: len(kept.frames) == 2)
    server.stalled = True
    until(lambda: "DISCONNECTED" in kept.kinds())
    assert {"a", "b"} in kept.losses
    server.stalled = False
    kept.frames.clear()
    until(lambda: len(kept.frames) == 2)
    assert len(server.spoken) == 2


def test_a_line_is_renewed_before_its_end_without_a_gap(server, keeper):
    kept = keeper(speech_of(server.url, life=1.0))
    kept.want("a", "b")
    until(lambda: len(server.spoken) >= 3 and any(facts.get("renewed") for _, _, facts in kept.events))
    for numbers in kept.frames.values():
        assert sorted(set(numbers)) == list(range(min(numbers), max(numbers) + 1))
    assert not kept.losses
    assert "DISCONNECTED" not in kept.kinds()


def test_refusals_in_a_row_become_one_error(server, keeper, monkeypatch):
    monkeypatch.setattr(links_module, "LONGEST_PAUSE", 0.02)
    server.refusing = True
    kept = keeper(speech_of(server.url))
    kept.want("a")
    until(lambda: kept.kinds().count("RECONNECTING") >= 8)
    assert kept.kinds().count("ERROR") == 1
    server.refusing = False
    until(lambda: kept.frames["a"])


def test_uptime_goes_on_over_a_restart(server, keeper):
    now = time.time()
    kept = keeper(speech_of(server.url))
    with kept._lock:
        kept.links.histories = {"spot-1": (now - 1000, [[now - 1000, now - 250]])}
    kept.want("a")
    until(lambda: kept.frames["a"])
    (link,) = kept.links.all()
    assert link.uptime(time.time()) == pytest.approx(75, abs=1)
    begun, up = link.history(time.time())
    assert begun == now - 1000
    assert len(up) == 2


class SilentLine:
    """A line that fails whenever it is opened."""

    def __init__(self, name):
        self.name, self.speech = name, speech_of("ws://nowhere")
        self.stage, self.reason, self.opened_at = Stage.CONNECTING, "", 0.0
        self.frames = self.bytes = 0
        self.heard = {}

    def open(self):
        self.stage, self.reason = Stage.CLOSED, "refused"

    def close(self, reason):
        pass

    def join(self, seconds):
        pass


def test_pauses_grow_to_thirty_seconds():
    pauses = []

    class Listener:
        def lost(self, link, streams):
            pass

        def told(self, kind, message, link, metadata):
            if kind == "RECONNECTING":
                pauses.append(float(message.split()[1]))

    link = links_module.Link("one", "spot", speech_of("ws://nowhere"), Listener(), SilentLine)
    link.want({"a"})
    now = 0.0
    while len(pauses) < 9:
        link.tick(now)
        now += 0.5
    longest = [1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert all(most * 0.74 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert len(set(pauses[5:])) > 1  # jitter


def test_a_line_that_cannot_connect_says_why():
    line = Line("one", speech_of("ws://127.0.0.1:9/stream"), lambda *_: None, lambda: None)
    line.open()
    until(lambda: line.stage is Stage.CLOSED)
    assert "refused" in line.reason.lower()
