"""Many clients at once on one web process: what each was told, held against what was published."""

import asyncio
import json
import threading
import time
from dataclasses import dataclass

from websockets.asyncio.client import connect

AT_ONCE = 50  # connections that are opened together
BEHIND = 5  # rounds that the slowest of these clients, which share a process, may be behind before the next goes out


@dataclass
class Crowd:
    """What `clients` heard of `published` states: deliveries, states skipped, messages that nobody published, clients
    that were told something old after something new."""

    clients: int
    published: int = 0
    delivered: int = 0
    skipped: int = 0
    foreign: int = 0
    disordered: int = 0

    @property
    def skipped_share(self):
        return self.skipped / max(1, self.delivered + self.skipped)


def gather(site, feed, symbols, clients, rounds, pause, patience=120.0):
    """Opens the clients, publishes `rounds` states of each symbol, `pause` seconds apart, and waits until everybody
    has the last."""
    feed.publish(*symbols)
    progress = {"ready": 0, "last": rounds + 1, "until": time.monotonic() + patience, "heard": [0] * clients}
    publisher = threading.Thread(target=_publish, args=(feed, symbols, clients, rounds, pause, progress))
    publisher.start()
    heard = asyncio.run(_everybody(site, symbols, clients, progress))
    publisher.join()
    crowd = Crowd(clients, published=len(symbols) * (rounds + 1))
    told = {symbol: {body.decode() for body in feed.published["SPOT", symbol]} for symbol in symbols}
    for number, messages in enumerate(heard):
        _judge(crowd, messages, told[symbols[number % len(symbols)]])
    return crowd


def _publish(feed, symbols, clients, rounds, pause, progress):
    while progress["ready"] < clients and time.monotonic() < progress["until"]:
        time.sleep(0.02)
    for number in range(rounds):
        begun = time.monotonic()
        while min(progress["heard"]) < number + 1 - BEHIND and time.monotonic() < progress["until"]:
            time.sleep(0.01)
        for symbol in symbols:
            feed.publish(symbol)
        time.sleep(max(0.0, begun + pause - time.monotonic()))


async def _everybody(site, symbols, clients, progress):
    gate = asyncio.Semaphore(AT_ONCE)
    return await asyncio.gather(
        *(_listen(site, symbols[number % len(symbols)], gate, progress, number) for number in range(clients))
    )


async def _listen(site, symbol, gate, progress, number):
    """All that one client got, up to the last state."""
    messages = []
    async with gate:
        client = await connect(f"{site.address}/ws/depth?symbol={symbol}", compression=None, open_timeout=60)
    async with client:
        progress["ready"] += 1
        while True:
            text = await asyncio.wait_for(client.recv(), max(1.0, progress["until"] - time.monotonic()))
            messages.append(text)
            seq = json.loads(text).get("seq")
            progress["heard"][number] = seq or progress["heard"][number]
            if seq == progress["last"]:
                return messages


def _judge(crowd, messages, told):
    numbers = []
    for text in messages:
        message = json.loads(text)
        if message["type"] == "update":
            crowd.delivered += 1
            crowd.foreign += text not in told
        if message["type"] in {"snapshot", "update"}:
            numbers.append(message["seq"])
    crowd.foreign += json.loads(messages[0])["type"] != "snapshot"
    crowd.disordered += numbers != sorted(set(numbers))
    crowd.skipped += numbers[-1] - numbers[0] + 1 - len(numbers)
