"""Addresses of the orders' sockets."""

from dex.consumers import OrdersSocket
from markets.consumers import Socket

PATHS: dict[str, type[Socket]] = {"/ws/orders": OrdersSocket}
