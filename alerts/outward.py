"""At the end of a webhook's way: to which addresses it may go, looked at where the connection is made.

Whoever may write rules chooses the address, and names lead where they like; so what counts is the address that a name
has now, of which the connection then is."""

import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from alerts.addresses import is_allowed


class Forbidden(ValueError):
    """The message says where the webhook would have gone."""


def session() -> requests.Session:
    """Whose direct connections are made only to addresses that are allowed, else it raises Forbidden. A proxy of the
    environment decides for itself."""
    made = requests.Session()
    for scheme in ("http://", "https://"):
        made.mount(scheme, _Guarded())
    return made


class _Guarded(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(self, super()._new_conn)


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(self, super()._new_conn)


def _checked(connection: HTTPConnection, connect: Any) -> socket.socket:
    """Nothing is sent before both: all that the name leads to now, and what was connected to."""
    try:
        found = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
    except OSError:
        found = []  # connecting will say so
    _refuse([str(place[4][0]) for place in found])
    made: socket.socket = connect()
    try:
        _refuse([made.getpeername()[0]])
    except (Forbidden, OSError):
        made.close()
        raise
    return made


def _refuse(addresses: list[str]) -> None:
    for address in addresses:
        if not is_allowed(address):
            raise Forbidden(f"{address} is not an address that webhooks may go to")


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
