"""Binance over HTTP: the only place that talks to it. One kept-alive session for each thread and market."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic

import requests
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from collector.exchanges.base import Answer, DepthTier, Klines, Listings, OpenContracts, RawBook, Unavailable
from collector.exchanges.binance import parse, urls
from collector.exchanges.streams import AggregateTrade

CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 8.0
CHUNK = 256 * 1024
LARGEST_BODY = 64 * 1024 * 1024


class BinanceRest:
    """The Venue of Binance spot and USD-M futures, from REST addresses (scheme://host:port) by market."""

    name: str = "binance"
    markets: Sequence[str] = urls.MARKETS
    tiers: Mapping[str, Sequence[DepthTier]] = urls.TIERS
    default_weight: Mapping[str, int] = urls.DEFAULT_WEIGHT
    listings_weight: Mapping[str, int] = urls.LISTINGS_WEIGHT
    volumes_weight: Mapping[str, int] = urls.VOLUMES_WEIGHT
    clock_weight: Mapping[str, int] = urls.CLOCK_WEIGHT
    most_klines: Mapping[str, int] = urls.MOST_KLINES
    trades_weight: Mapping[str, int] = urls.TRADES_WEIGHT
    most_trades: int = urls.MOST_TRADES
    interest_market: str = urls.FUTURES
    interest_weight: int = urls.OPEN_INTEREST_WEIGHT

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)
        self._local = threading.local()

    def book_weight(self, market: str, limit: int) -> int:
        return urls.book_weight(market, limit)

    def fetch_book(self, market: str, name: str, limit: int, timeout: float) -> Answer[RawBook]:
        body, used, at = self._get(market, "depth", {"symbol": name, "limit": str(limit)}, timeout)
        return Answer(parse.book(body, at), used)

    def klines_weight(self, market: str, limit: int) -> int:
        return urls.klines_weight(market, limit)

    def fetch_klines(self, market: str, name: str, start: int, end: int, limit: int, timeout: float) -> Answer[Klines]:
        asked = {"symbol": name, "interval": "1m", "startTime": str(start), "endTime": str(end), "limit": str(limit)}
        body, used, _ = self._get(market, "klines", asked, timeout)
        return Answer(parse.klines(body), used)

    def fetch_trades(
        self, market: str, name: str, first_id: int, limit: int, timeout: float
    ) -> Answer[list[AggregateTrade]]:
        asked = {"symbol": name, "fromId": str(first_id), "limit": str(limit)}
        body, used, _ = self._get(market, "trades", asked, timeout)
        return Answer(parse.trades(market, name, body), used)

    def fetch_open_interest(self, name: str, timeout: float) -> Answer[OpenContracts]:
        body, used, _ = self._get(self.interest_market, "openInterest", {"symbol": name}, timeout)
        return Answer(parse.open_interest(body), used)

    def fetch_listings(self, market: str, timeout: float) -> Answer[Listings]:
        body, used, _ = self._get(market, "exchangeInfo", {}, timeout)
        return Answer(parse.listings(market, body), used)

    def fetch_volumes(self, market: str, timeout: float) -> Answer[dict[str, float]]:
        body, used, _ = self._get(market, "ticker", {}, timeout)
        return Answer(parse.volumes(body), used)

    def fetch_clock_offset(self, market: str, timeout: float) -> Answer[int]:
        """The better of two readings: the first one may have had to connect, which blurs the moment it was taken."""
        readings = []
        for _ in range(2):
            sent, began = datetime.now(UTC).timestamp(), monotonic()
            body, used, _ = self._get(market, "time", {}, timeout)
            took = monotonic() - began
            readings.append((took, round(parse.server_time(body) - (sent + took / 2) * 1000)))
        return Answer(min(readings)[1], used)

    def _get(
        self, market: str, what: str, parameters: dict[str, str], timeout: float
    ) -> tuple[bytes, int | None, datetime]:
        """Body, used weight and our time at its end. Raises VenueError for everything that is not a 200 in time."""
        url = self._addresses[market] + urls.PATHS[market][what]
        deadline = monotonic() + timeout
        try:
            try:
                response, body = self._exchange(market, url, parameters, deadline)
            except (requests.ConnectionError, ProtocolError) as error:
                if not _was_closed(error):
                    raise
                # A kept connection that the other side had closed meanwhile: nothing was asked yet.
                response, body = self._exchange(market, url, parameters, deadline)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise Unavailable(_reason(error)) from error
        now = datetime.now(UTC)
        if response.status_code != 200:
            raise parse.error(response.status_code, response.headers, body, now)
        return body, parse.used_weight(response.headers), now

    def _exchange(
        self, market: str, url: str, parameters: dict[str, str], deadline: float
    ) -> tuple[requests.Response, bytes]:
        left = deadline - monotonic()
        if left <= 0:
            raise requests.Timeout("no time left")
        timeouts = (min(CONNECT_TIMEOUT, left), min(READ_TIMEOUT, left))
        session = self._session(market)
        with session.get(url, params=parameters, timeout=timeouts, stream=True, allow_redirects=False) as response:
            parts, size = [], 0
            # read1 gives what is there: a whole chunk of an answer that trickles could take minutes.
            while part := response.raw.read1(CHUNK, decode_content=True):
                size += len(part)
                if size > LARGEST_BODY or monotonic() > deadline:
                    raise requests.Timeout("the answer is too long" if size > LARGEST_BODY else "the answer is slow")
                parts.append(part)
        return response, b"".join(parts)

    def _session(self, market: str) -> requests.Session:
        sessions: dict[str, requests.Session] = self._local.__dict__.setdefault("sessions", {})
        if market not in sessions:
            session = requests.Session()
            # Once, not at each request: requests would read the environment and .netrc every time.
            session.trust_env = False
            session.proxies.update(get_environ_proxies(self._addresses[market]))
            session.headers["User-Agent"] = "trading-platform"
            sessions[market] = session
        return sessions[market]


def _was_closed(error: Exception) -> bool:
    """Whether the connection ended before any byte of an answer."""
    text = str(error)
    return "RemoteDisconnected" in text or "ConnectionResetError" in text or "BrokenPipeError" in text


def _reason(error: Exception) -> str:
    if isinstance(error, requests.ConnectTimeout):
        return "timeout: no connection in time"
    if isinstance(error, requests.Timeout | TimeoutError | ReadTimeoutError):
        return "timeout: no answer in time"
    return f"{type(error).__name__}: {error}"[:300]
