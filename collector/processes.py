"""Which process this is, in a word that no other process of the platform has."""

import os
import socket
from functools import cache


@cache
def host() -> str:
    return socket.gethostname()


def identity() -> str:
    """`host:pid`; not cached, for a fork has its own."""
    return f"{host()}:{os.getpid()}"
