"""The venues of this process: one of each, made from the settings, its sessions kept alive."""

from functools import cache

from django.conf import settings

from collector.exchanges import EXCHANGES
from collector.exchanges.base import Venue


@cache
def venue(exchange: str) -> Venue:
    """The venue of this name. Raises KeyError for a name that EXCHANGES does not hold."""
    addresses = settings.VENUE_URLS[exchange]
    return EXCHANGES[exchange]({market: parts["rest"] for market, parts in addresses.items()})
