"""Between the market and the hub on the simulated data's way: a channel in, what speaks on it out."""

from simulator.beats import Beat, Source
from simulator.book_sources import BookTickerSource, DepthSource
from simulator.channels import Channel, Kind
from simulator.contract_sources import ForceOrderSource, MarkPriceSource
from simulator.exchange import Exchange
from simulator.listings import Listing, Market
from simulator.market import SimulatedMarket, UnknownSymbol
from simulator.replay import ReplayedFrames
from simulator.ticker_sources import TickerSource
from simulator.trade_sources import AggTradeSource, KlineSource

_AT_ONCE = 2000  # messages of a recording in one go
_RECORDED: dict[Kind, str] = {"depth": "depth", "book_ticker": "bookTicker", "trade": "trade"}


class ReplaySource:
    """Messages of a recording, as fast as it is played and its listeners read."""

    def __init__(self, exchange: Exchange, market: Market, frames: ReplayedFrames) -> None:
        self.frames = frames
        self._exchange, self._market = exchange, market

    def due(self, now: int) -> list[bytes]:
        return self.frames.due(self._exchange.machine_time(), now, _AT_ONCE)


def _replayed(exchange: Exchange, listing: Listing, channel: Channel) -> ReplaySource | None:
    """What a recording holds for a channel. The first listener of it makes a recording that waits begin."""
    book, word = exchange.replays(listing), _RECORDED.get(channel.kind)
    if book is None or word is None:
        return None
    machine = exchange.machine_time()
    frames = ReplayedFrames(book, word, machine, recorded_times=exchange.config.replay_recorded_times)
    book.begin(machine)
    return ReplaySource(exchange, listing.market, frames)


def source(exchange: Exchange, market: Market, channel: Channel, now: int) -> Source | None:
    """What speaks on a channel; None where nothing ever will, as for symbols that are not listed."""
    if not channel.symbol:
        return _of_all(exchange, market, channel, now)
    try:
        listing = exchange.market.listing(channel.symbol, market)
    except UnknownSymbol:
        return None
    replayed = _replayed(exchange, listing, channel)
    if replayed is not None:
        return replayed
    if channel.kind in ("ticker", "mini_ticker"):
        return _ticker(exchange, market, [listing], channel, now)
    return _simulated(exchange.market, listing, channel, now)


def _of_all(exchange: Exchange, market: Market, channel: Channel, now: int) -> Source:
    listings = exchange.market.of(market)
    if channel.kind == "mark_prices":
        return MarkPriceSource(exchange.market, listings, channel.period, now, every=True)
    if channel.kind == "force_orders":
        return ForceOrderSource(exchange.market, listings, now)
    return _ticker(exchange, market, listings, channel, now)


def _ticker(exchange: Exchange, market: Market, listings: list[Listing], channel: Channel, now: int) -> Source:
    beat = Beat(channel.period, now)
    return TickerSource(exchange, market, listings, beat, mini=channel.kind == "mini_ticker", every=not channel.symbol)


def _simulated(market: SimulatedMarket, listing: Listing, channel: Channel, now: int) -> Source | None:
    match channel.kind:
        case "depth":
            return DepthSource(market, listing, channel.period, now)
        case "book_ticker":
            return BookTickerSource(market, listing, now)
        case "agg_trade":
            return AggTradeSource(market, listing, now)
        case "kline":
            return KlineSource(market, listing, channel.interval, channel.period, now)
        case "mark_price":
            return MarkPriceSource(market, [listing], channel.period, now, every=False)
        case "force_order":
            return ForceOrderSource(market, [listing], now)
    return None
