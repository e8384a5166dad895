"""The venues that the platform knows: a new one is a folder here and a line in EXCHANGES."""

from collections.abc import Callable, Mapping

from collector.exchanges.base import Venue
from collector.exchanges.binance.rest import BinanceRest

# Each is made from its REST addresses by market.
EXCHANGES: dict[str, Callable[[Mapping[str, str]], Venue]] = {"binance": BinanceRest}
