"""Addresses of the order books' sockets: by path, and by `type` for the one path that several kinds share."""

from depth.consumers import BookSocket, FlatBookSocket
from markets.consumers import Socket

PATHS: dict[str, type[Socket]] = {"/ws/depth": BookSocket}
TYPES: dict[str, type[Socket]] = {"orderbook": FlatBookSocket}
