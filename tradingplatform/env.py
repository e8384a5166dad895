"""Where configuration enters: environment variables, `.env` and a running supervisor's choices, read once and typed."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_BANDS = "0.1,0.25,0.5,1,1.5,3,5,8,15,30"
T = TypeVar("T")


class ConfigurationError(Exception):
    """A variable whose value cannot be used; the message is one line that names it."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Every variable of `.env.example`, parsed. Addresses of the embedded servers are filled in by `settings`."""

    port: int
    host: str
    data_dir: Path
    database_url: str
    redis_url: str
    cache_redis_url: str
    spool_limit_mb: int
    capture: bool
    capture_limit_mb: int
    capture_hours: int
    secret_key: str
    debug: bool
    allowed_hosts: tuple[str, ...]
    cors_allowed_origins: tuple[str, ...]
    api_public: bool
    api_rate_limit: int
    num_proxies: int
    websocket_max_connections: int
    log_level: str
    binance_spot_rest_url: str
    binance_futures_rest_url: str
    binance_spot_ws_url: str
    binance_futures_ws_url: str
    symbols: str
    live_symbols: str
    live_on_demand: int
    live_rate: int
    orderbook_levels: int
    orderbook_update_interval: int
    quote_assets: tuple[str, ...]
    depth_bands: tuple[Decimal, ...]
    start_date: datetime
    candle_markets: tuple[str, ...]
    realtime_interval: float
    spot_streams: tuple[str, ...]
    futures_streams: tuple[str, ...]
    trade_symbols: str
    mark_price_seconds: int
    event_payloads: tuple[str, ...]
    depth_updates: tuple[str, ...]
    web3_providers: tuple[str, ...]
    trading_address: str
    trading_abi: str
    router_address: str
    token_assets: dict[str, str]
    explorer_url: str
    confirmations: int
    start_block: int
    email_url: str
    email_from: str
    webhook_internal: bool
    simulated_market: bool


def _flag(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError("must be true or false")


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.05 <= value <= 3600:
        raise ValueError("must be a number of seconds from 0.05 to 3600")
    return value


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _upper_list(text: str) -> tuple[str, ...]:
    parts = _list(text.upper())
    if not parts:
        raise ValueError("must name at least one")
    return parts


def _markets(text: str) -> tuple[str, ...]:
    parts = tuple(dict.fromkeys(_upper_list(text)))
    if not set(parts) <= {"SPOT", "FUTURES"}:
        raise ValueError("must be SPOT, FUTURES or both with a comma between")
    return parts


def _bands(text: str) -> tuple[Decimal, ...]:
    """Percentages with at most two decimals, above 0 and below 100; sorted, each once."""
    try:
        bands = {Decimal(part) for part in _list(text)}
    except InvalidOperation:
        raise ValueError("must be percentages, such as 0.5,1,5") from None
    if not bands or not all(band.is_finite() and 0 < band < 100 and band == round(band, 2) for band in bands):
        raise ValueError("must be percentages above 0 and below 100 with at most two decimals, such as 0.5,1,5")
    return tuple(sorted(bands))


def _origin(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        try:
            parts = urlsplit(text)
            valid = parts.scheme in schemes and parts.hostname and (parts.port or True)
        except ValueError:
            valid = False
        if not valid or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(f"must be {' or '.join(schemes)}://host:port without a path")
        return text.rstrip("/")

    return parse


def _url(*prefixes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text and not text.startswith(prefixes):
            raise ValueError(f"must begin with {' or '.join(prefixes)}")
        return text

    return parse


def _symbols(text: str) -> str:
    if re.fullmatch(r"top:[1-9]\d{0,3}", text) or (_list(text) and not text.startswith("top:")):
        return text
    raise ValueError("must be a list such as BTCUSDT,ETHUSDT or top:N, such as top:100")


def _live_symbols(text: str) -> str:
    return text if text == "none" else _symbols(text)


def _streams(*known: str) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        parts = _list(text)
        if not set(parts) <= set(known):
            raise ValueError(f"must be some of {','.join(known)}")
        return parts

    return parse


def _trade_symbols(text: str) -> str:
    if text not in {"collected", "live"}:
        raise ValueError("must be collected or live")
    return text


def _mark_price_seconds(text: str) -> int:
    if text not in {"1", "3"}:
        raise ValueError("must be 1 or 3")
    return int(text)


def _depth_updates(text: str) -> tuple[str, ...]:
    """Series whose raw diffs are kept, as market:symbol; `none` for none."""
    parts = tuple(part.upper() for part in _list(text))
    if parts == ("NONE",):
        return ()
    if not all(re.fullmatch(r"(SPOT|FUTURES):[^\s:,]{1,40}", part) for part in parts):
        raise ValueError("must be none, or a list such as SPOT:BTCUSDT,FUTURES:BTCUSDT")
    return parts


def _date(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a date, such as 2026-01-31") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _level(text: str) -> str:
    if text.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ValueError("must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return text.upper()


def _address(text: str) -> str:
    if text and not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise ValueError("must be an address of 0x and 40 hexadecimal digits")
    return text


def _token_assets(text: str) -> dict[str, str]:
    """Addresses (in small letters) to the exchange's assets: 0x...=BTC,0x...=USDT."""
    found = {}
    for part in _list(text):
        address, _, asset = (word.strip() for word in part.partition("="))
        if not (address and asset.isalnum()):
            raise ValueError("must be addresses of tokens with their assets, such as 0x...=BTC, separated by commas")
        found[_address(address).lower()] = asset.upper()
    return found


def _nodes(text: str) -> tuple[str, ...]:
    """Addresses of JSON-RPC nodes, the preferred one first."""
    found = _list(text)
    if not all(url.startswith(("http://", "https://")) and urlsplit(url).hostname for url in found):
        raise ValueError("must be addresses that begin with http:// or https://, separated by commas")
    return found


def read_file(path: Path) -> dict[str, str]:
    """KEY=VALUE lines of a file (comments, blank lines and surrounding quotes allowed); {} where there is no file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip().removeprefix("export "): value.strip().strip("'\"") for key, value in pairs}


def gather(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables in force: `environ` first, then DATA_DIR/environment of a running platform, so that a command in
    another shell joins that platform, then `.env` (or ENV_FILE). An empty value is as good as none."""
    own = _filled(environ)
    file = _filled(read_file(Path(environ.get("ENV_FILE") or ROOT / ".env")))
    return file | _filled(read_file(data_dir(file | own) / "environment")) | own


def _filled(variables: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in variables.items() if value != ""}


def data_dir(variables: Mapping[str, str]) -> Path:
    """DATA_DIR as an absolute path; a relative one counts from the project's root."""
    return (ROOT / variables.get("DATA_DIR", ".data")).resolve()


def load(environ: Mapping[str, str] = os.environ, now: datetime | None = None) -> Environment:
    """The whole configuration. Raises ConfigurationError naming the first variable that cannot be used."""
    given = gather(environ)
    today = (now or datetime.now(UTC)).replace(hour=0, minute=0, second=0, microsecond=0)

    def read(name: str, default: str, parse: Callable[[str], T]) -> T:
        text = given.get(name, default)
        try:
            return parse(text)
        except ValueError as error:
            raise ConfigurationError(f"{name} {error}, not {text!r}") from None

    simulated = read("SIMULATED_MARKET", "false", _flag)
    start = today - timedelta(days=7 if simulated else 90)
    redis_url = read("REDIS_URL", "", _url("redis://", "rediss://", "unix://"))
    return Environment(
        port=read("PORT", "8000", _integer(1, 65535)),
        host=read("HOST", "127.0.0.1", str),
        data_dir=data_dir(given),
        database_url=read("DATABASE_URL", "", _url("postgres://", "postgresql://")),
        redis_url=redis_url,
        cache_redis_url=read("CACHE_REDIS_URL", redis_url, _url("redis://", "rediss://", "unix://")),
        spool_limit_mb=read("SPOOL_LIMIT_MB", "512", _integer(1, 1_000_000)),
        capture=read("CAPTURE", "false", _flag),
        capture_limit_mb=read("CAPTURE_LIMIT_MB", "2048", _integer(8, 100_000_000)),
        capture_hours=read("CAPTURE_HOURS", "48", _integer(1, 1_000_000)),
        secret_key=read("SECRET_KEY", "", str),
        debug=read("DEBUG", "false", _flag),
        allowed_hosts=read("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", _list),
        cors_allowed_origins=read("CORS_ALLOWED_ORIGINS", "http://localhost:5173,http://localhost:4173", _origins),
        api_public=read("API_PUBLIC", "true", _flag),
        api_rate_limit=read("API_RATE_LIMIT", "100", _integer(0, 10_000_000)),
        num_proxies=read("NUM_PROXIES", "0", _integer(0, 20)),
        websocket_max_connections=read("WEBSOCKET_MAX_CONNECTIONS", "1000", _integer(1, 1_000_000)),
        log_level=read("LOG_LEVEL", "INFO", _level),
        binance_spot_rest_url=read("BINANCE_SPOT_REST_URL", "https://api.binance.com", _origin("http", "https")),
        binance_futures_rest_url=read("BINANCE_FUTURES_REST_URL", "https://fapi.binance.com", _origin("http", "https")),
        binance_spot_ws_url=read("BINANCE_SPOT_WS_URL", "wss://stream.binance.com:9443", _origin("ws", "wss")),
        binance_futures_ws_url=read("BINANCE_FUTURES_WS_URL", "wss://fstream.binance.com", _origin("ws", "wss")),
        symbols=read("SYMBOLS", "top:30" if simulated else "top:100", _symbols),
        live_symbols=read("LIVE_SYMBOLS", "top:5" if simulated else "top:10", _live_symbols),
        live_on_demand=read("LIVE_ON_DEMAND", "20", _integer(0, 1000)),
        live_rate=read("LIVE_RATE", "4", _integer(1, 10)),
        orderbook_levels=read("ORDERBOOK_LEVELS", "20", _integer(1, 1000)),
        orderbook_update_interval=read("ORDERBOOK_UPDATE_INTERVAL", "1", _integer(1, 60)),
        quote_assets=read("QUOTE_ASSETS", "USDT", _upper_list),
        depth_bands=read("DEPTH_BANDS", DEFAULT_BANDS, _bands),
        start_date=read("START_DATE", start.date().isoformat(), _date),
        candle_markets=read("CANDLE_MARKETS", "SPOT", _markets),
        realtime_interval=read("REALTIME_INTERVAL", "0.5", _seconds),
        spot_streams=read("SPOT_STREAMS", "depth,kline,aggTrade", _streams("depth", "kline", "aggTrade")),
        futures_streams=read(
            "FUTURES_STREAMS",
            "depth,kline,aggTrade,markPrice,forceOrder",
            _streams("depth", "kline", "aggTrade", "markPrice", "forceOrder"),
        ),
        mark_price_seconds=read("MARK_PRICE_SECONDS", "1", _mark_price_seconds),
        event_payloads=read(
            "EVENT_PAYLOADS", "markPrice,forceOrder", _streams("aggTrade", "markPrice", "forceOrder", "none")
        ),
        depth_updates=read("DEPTH_UPDATES", "none", _depth_updates),
        trade_symbols=read("TRADE_SYMBOLS", "live" if simulated else "collected", _trade_symbols),
        web3_providers=read("WEB3_PROVIDERS", "", _nodes),
        trading_address=read("TRADING_ADDRESS", "", _address),
        trading_abi=read("TRADING_ABI", "", str),
        router_address=read("ROUTER_ADDRESS", "", _address),
        explorer_url=read("EXPLORER_URL", "", _url("http://", "https://")).rstrip("/"),
        token_assets=read("TOKEN_ASSETS", f"0x{'0' * 40}=ETH", _token_assets),
        confirmations=read("CONFIRMATIONS", "1" if simulated else "12", _integer(0, 10_000)),
        start_block=read("START_BLOCK", "0", _integer(0, 10**12)),
        email_url=read("EMAIL_URL", "", _url("smtp://", "smtp+tls://", "smtp+ssl://")),
        email_from=read("EMAIL_FROM", "trading-platform@localhost", str),
        webhook_internal=read("WEBHOOK_INTERNAL", "true", _flag),
        simulated_market=simulated,
    )


def _origins(text: str) -> tuple[str, ...]:
    check = _origin("http", "https")
    return tuple(check(part) for part in _list(text))
