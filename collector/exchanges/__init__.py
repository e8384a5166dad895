"""The venues that the platform knows: a new one is a folder here and a line in EXCHANGES."""

from collections.abc import Callable, Mapping

from collector.exchanges.base import Venue
from collector.exchanges.binance.rest import BinanceRest
from collector.exchanges.binance.streams import BinanceStreams
from collector.exchanges.streams import Streams

# Each is made from its REST addresses by market.
EXCHANGES: dict[str, Callable[[Mapping[str, str]], Venue]] = {"binance": BinanceRest}
# The same over sockets, from their addresses by market, and what is Taken beyond the ordinary.
STREAMS: dict[str, Callable[..., Streams]] = {"binance": BinanceStreams}
