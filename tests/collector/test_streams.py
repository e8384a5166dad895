"""Every kind of stream from the simulated exchange's sockets through Binance's names, addresses and parser."""

import json
import time
from contextlib import closing

import pytest
import websocket

from collector.exchanges import STREAMS
from collector.exchanges.streams import (
    AggregateTrade,
    Answer,
    BestPrices,
    CandleUpdate,
    Kind,
    Liquidation,
    MarkPrice,
    Unreadable,
)
from depth.book import DepthDiff

TOLD_BY = {
    Kind.DEPTH: DepthDiff,
    Kind.CANDLES: CandleUpdate,
    Kind.TRADES: AggregateTrade,
    Kind.MARK_PRICE: MarkPrice,
    Kind.LIQUIDATIONS: Liquidation,
    Kind.BEST_PRICES: BestPrices,
}


@pytest.fixture
def streams(exchange):
    socket = exchange.url.replace("http", "ws")
    return STREAMS["binance"]({"SPOT": socket, "FUTURES": socket})


def frames(url, text, seconds=60):
    """Frames of a new connection after saying `text`, for at most `seconds`."""
    until = time.monotonic() + seconds
    with closing(websocket.create_connection(url, timeout=seconds)) as connection:
        connection.send(text)
        while time.monotonic() < until:
            yield connection.recv_data()[1]


@pytest.mark.parametrize("market", ["SPOT", "FUTURES"])
def test_every_kind_is_had_at_its_address_and_read(streams, market):
    addresses = {}
    for kind in streams.kinds[market]:
        # Few contracts are liquidated in any second, so all of them.
        symbol = None if kind is Kind.LIQUIDATIONS else "BTCUSDT"
        addresses.setdefault(streams.url(market, kind), {})[streams.stream(market, kind, symbol)] = TOLD_BY[kind]
    for url, wanted in addresses.items():
        missing = dict(wanted)
        answered = False
        for data in frames(url, streams.subscribe(list(wanted), 5)):
            frame = streams.parse(market, data)
            for message in frame.messages:
                if isinstance(message, Answer):
                    assert message == Answer(5, None)
                    answered = True
                else:
                    assert type(message) is wanted[frame.stream]
                    assert message.market == market
                    assert message.symbol == (streams.symbol_of(frame.stream) or message.symbol)
                    missing.pop(frame.stream, None)
            if not missing:
                break
        assert (answered, missing) == (True, {})


def test_a_wrong_request_is_answered_with_its_error(streams):
    text = json.dumps({"method": "SHOUT", "params": [], "id": 9})
    (message,) = streams.parse("SPOT", next(frames(streams.url("SPOT", Kind.DEPTH), text))).messages
    assert isinstance(message, Answer)
    assert message.error


@pytest.mark.parametrize("how", ["json", "types"])
@pytest.mark.parametrize("market", ["SPOT", "FUTURES"])
def test_garbled_frames_tell_their_stream(exchange, streams, how, market):
    exchange.fault("corrupt", how=how)
    name = streams.stream(market, Kind.DEPTH, "BTCUSDT")
    seen = []
    for data in frames(streams.url(market, Kind.DEPTH), streams.subscribe([name], 1)):
        try:
            frame = streams.parse(market, data)
        except Unreadable as unreadable:
            seen.append(unreadable.stream)
        else:
            assert all(isinstance(message, Answer) for message in frame.messages)
        if len(seen) == 5:
            break
    assert len(seen) == 5
    assert set(seen) <= {name, None}
    assert name in seen
