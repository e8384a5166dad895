"""Addresses of the candles' sockets: by path, and by `type` for the one path that several kinds share."""

from candles.consumers import ChartSocket, FlatCandleSocket
from markets.consumers import Socket

PATHS: dict[str, type[Socket]] = {"/ws/chart-data": ChartSocket}
TYPES: dict[str, type[Socket]] = {"candles": FlatCandleSocket}
