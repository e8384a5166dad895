"""Configuration: defaults, precedence, and one clear line for what cannot be used."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tradingplatform import addresses
from tradingplatform.env import ROOT, ConfigurationError, load, read_file

NOW = datetime(2026, 3, 10, 15, tzinfo=UTC)


def read(tmp_path, **variables):
    return load({"ENV_FILE": "/dev/null", "DATA_DIR": str(tmp_path), **variables}, NOW)


def test_defaults_are_those_of_the_example_file(tmp_path):
    example = {key: value for key, value in read_file(ROOT / ".env.example").items() if value}
    example["DATA_DIR"] = str(tmp_path)
    assert load({"ENV_FILE": "/dev/null", **example}, NOW) == read(tmp_path)


def test_every_variable_is_in_the_example_file():
    import re

    names = set(re.findall(r'read\(\s*"([A-Z0-9_]+)"', (ROOT / "tradingplatform" / "env.py").read_text()))
    written = {line.split("=")[0] for line in (ROOT / ".env.example").read_text().splitlines() if "=" in line}
    assert names - {"SIMULATED_MARKET"} <= written


def test_the_demo_has_its_own_defaults(tmp_path):
    demo, live = read(tmp_path, SIMULATED_MARKET="1"), read(tmp_path)
    assert (demo.symbols, live.symbols) == ("top:30", "top:100")
    assert (NOW.date() - demo.start_date.date()).days == 7
    assert (NOW.date() - live.start_date.date()).days == 90


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "80000"),
        ("PORT", "http"),
        ("PORT", "9" * 30),
        ("DEPTH_BANDS", "1,two"),
        ("DEPTH_BANDS", "0"),
        ("DEPTH_BANDS", "100"),
        ("DEPTH_BANDS", "1.005"),
        ("DEPTH_BANDS", "NaN"),
        ("DEPTH_BANDS", ","),
        ("REALTIME_INTERVAL", "fast"),
        ("REALTIME_INTERVAL", "nan"),
        ("BINANCE_SPOT_REST_URL", "https://api.binance.com/api/v3"),
        ("BINANCE_SPOT_REST_URL", "ftp://x"),
        ("BINANCE_FUTURES_WS_URL", "https://x"),
        ("BINANCE_FUTURES_REST_URL", "http://host:port"),
        ("SYMBOLS", "top:0"),
        ("SYMBOLS", "top:many"),
        ("SYMBOLS", ","),
        ("START_DATE", "yesterday"),
        ("DEBUG", "maybe"),
        ("DATABASE_URL", "mysql://x"),
        ("REDIS_URL", "localhost:6379"),
        ("CACHE_REDIS_URL", "memcached://x"),
        ("LOG_LEVEL", "LOUD"),
        ("API_RATE_LIMIT", "-1"),
        ("TRADING_ADDRESS", "0x12"),
        ("EXPLORER_URL", "javascript:alert(1)"),
        ("TOKEN_ASSETS", "0x12=BTC"),
        ("TOKEN_ASSETS", f"0x{'1' * 40}"),
        ("TOKEN_ASSETS", "=BTC"),
        ("CORS_ALLOWED_ORIGINS", "localhost:5173"),
        ("QUOTE_ASSETS", ","),
        ("LIVE_SYMBOLS", "top:"),
        ("LIVE_RATE", "11"),
        ("ORDERBOOK_UPDATE_INTERVAL", "0"),
    ],
)
def test_a_malformed_value_is_named_in_one_line(tmp_path, name, value):
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, **{name: value})
    message = str(raised.value)
    assert message.startswith(f"{name} must ")
    assert repr(value) in message
    assert "\n" not in message


def test_an_empty_value_is_the_default(tmp_path):
    assert read(tmp_path, PORT="", DEPTH_BANDS="") == read(tmp_path)


def test_bands_are_sorted_and_single(tmp_path):
    assert read(tmp_path, DEPTH_BANDS="5,0.5,5.0").depth_bands == (Decimal("0.5"), Decimal(5))


def test_the_environment_wins_over_a_running_platform_and_both_over_the_file(tmp_path):
    (tmp_path / "environment").write_text("PORT=1\nLOG_LEVEL=ERROR\n")
    dotenv = tmp_path / "dotenv"
    dotenv.write_text('# a comment\nexport PORT=2\nLOG_LEVEL="DEBUG"\nSYMBOLS=AUSDT\nSTART_DATE=\n')
    env = load({"ENV_FILE": str(dotenv), "DATA_DIR": str(tmp_path), "PORT": "3"}, NOW)
    assert (env.port, env.log_level, env.symbols) == (3, "ERROR", "AUSDT")


def test_a_copy_of_the_example_file_starts(tmp_path):
    copied = load({"ENV_FILE": str(ROOT / ".env.example"), "DATA_DIR": str(tmp_path)}, NOW)
    assert copied == read(tmp_path)


def test_a_relative_data_dir_counts_from_the_root():
    assert load({"ENV_FILE": "/dev/null", "DATA_DIR": "x/y"}, NOW).data_dir == Path(ROOT / "x" / "y").resolve()


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://host:6379/2", "redis://host:6379/2"),
        ("unix:///run/r.sock?db=3", "redis+socket:///run/r.sock?virtual_host=3"),
        ("unix:///run/r.sock", "redis+socket:///run/r.sock?virtual_host=0"),
        ("unix://:secret@/run/r.sock?db=1", "redis+socket://:secret@/run/r.sock?virtual_host=1"),
    ],
)
def test_kombu_gets_its_own_spelling_of_a_socket(url, broker):
    assert addresses.celery_broker_url(url) == broker
