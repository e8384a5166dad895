"""Addresses of the trades' sockets, by the `type` of `/ws`."""

from derivatives.consumers import TradesSocket
from markets.consumers import Socket

TYPES: dict[str, type[Socket]] = {"trades": TradesSocket}
