"""At the head of the simulated data's way: which symbols the exchange lists on each market, and on what terms. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import floor, log10
from typing import Literal

from simulator.hashing import key_of

Market = Literal["spot", "futures"]
DAY = 86_400_000
PERPETUAL_DELIVERY = 4_133_404_800_000  # 2100-12-25, what the exchange gives for contracts that never end

# Base assets by 24 h volume in USDT, each with its reference price. Those without futures of the same name come late,
# and trade THIN of what their place says: the largest symbols trade on both markets, whatever the day.
COINS = """
BTC 65000 ETH 3500 SOL 152 USDC 1.0002 XRP 0.62 DOGE 0.125 FDUSD 0.9991 BNB 585 SUI 1.85 WIF 2.34 ADA 0.385 AVAX 27.4
LINK 13.6 TRX 0.152 LTC 71.3 NEAR 5.12 BCH 362 FET 1.43 APT 8.05 ENA 0.412 WLD 1.98 DOT 4.71 ARB 0.583 OP 1.72 TON 5.55
FIL 3.92 TIA 5.85 INJ 21.4 SEI 0.418 ORDI 37.2 UNI 7.65 AAVE 152 RUNE 5.05 ICP 8.72 FTM 0.695 STX 1.82 ATOM 4.66
ETC 19.8 RENDER 6.22 JUP 0.945 NOT 0.00815 HBAR 0.0562 GALA 0.0221 POL 0.418 XLM 0.0968 BOME 0.00742 CRV 0.288 LDO 1.12
IMX 1.55 DYDX 1.03 PENDLE 4.35 JTO 2.41 PYTH 0.342 STRK 0.428 ALGO 0.131 MKR 1645 EOS 0.521 SAND 0.262 MANA 0.287
AXS 5.05 APE 0.812 GMT 0.141 CFX 0.151 PEOPLE 0.0725 MASK 2.33 1INCH 0.268 GRT 0.158 VET 0.0234 THETA 1.31 EGLD 28.1
QNT 68.5 FLOW 0.552 CHZ 0.0631 KAVA 0.345 ROSE 0.0678 ENS 17.9 COMP 46.2 SNX 1.48 SUSHI 0.622 YFI 5120 ZEC 34.2
DASH 26.1 XTZ 0.702 NEO 10.2 IOTA 0.131 QTUM 2.41 ZIL 0.0148 BAT 0.176 ENJ 0.152 ONT 0.198 LUNA 0.352 WOO 0.185
CELO 0.571 KSM 19.4 ANKR 0.0265 SKL 0.0392 HOT 0.001715 JASMY 0.0212 ONE 0.0135 BLUR 0.212 ARKM 1.42 MEME 0.01185
TURBO 0.00645 BOMB 0.031 DOGS 0.000752 NEIRO 0.001492 HMSTR 0.00271 SYN 0.382 HIGH 1.31 STORJ 0.421 C98 0.122 SFP 0.745
RLC 1.72 MTL 1.02 PEPE 0.00001234 SHIB 0.00001725 BONK 0.00002215 FLOKI 0.0001385 LUNC 0.00009215 DENT 0.000885
CKB 0.0141 SPELL 0.000612 SLP 0.00295 PAXG 2655 XEC 0.0000348 WIN 0.0000945 BTTC 0.00000092 SC 0.00512 NFP 0.201
ACE 2.35 PORTAL 0.285 MINA 0.471
"""
STABLE = {"USDC", "FDUSD"}
SPOT_ONLY = {"USDC", "FDUSD", "PAXG", "WIN", "BTTC", "XEC", "SLP", "SC", "SFP", "DENT", "BOMB", "HOT", "MTL", "C98"}
THOUSANDS = {"PEPE", "SHIB", "BONK", "FLOKI", "LUNC"}  # futures trade these by the thousand
THIN = 0.2
SPOT_TICKS = {"BTC": 2, "ETH": 2, "DOGE": 5, "SHIB": 8, "USDC": 4, "FDUSD": 4}
FUTURES_TICKS = {"BTC": (2, 10), "ETH": (2, 1), "SOL": (2, 1), "BNB": (2, 1)}  # decimals, tick in the last of them


@dataclass(frozen=True, slots=True)
class Listing:
    """One symbol of one market. Price and volume are references that the market moves around, in the quote asset.

    `path` names the price path: listings that share it move together. Volatility is the deviation of a day's log
    return. `closed_at` (ms, 0: open) ends a symbol's trading; `delivery` (ms) is a futures contract's end.
    """

    symbol: str
    market: Market
    base: str
    quote: str
    price: float
    quote_volume: float
    rank: int
    path: str
    volatility: float
    beta: float
    price_decimals: int
    tick_units: int
    lot_decimals: int
    onboard: int
    status: str = "TRADING"
    contract_type: str = ""
    delivery: int = PERPETUAL_DELIVERY
    basis: float = 0.0
    closed_at: int = 0

    @property
    def tick(self) -> float:
        return self.tick_units / 10.0**self.price_decimals

    @property
    def lot(self) -> float:
        return 1 / 10.0**self.lot_decimals

    def trades_until(self, now: int) -> int:
        """The last moment (ms) of trading that is known at `now`."""
        return min(now, self.closed_at - 1) if self.closed_at else now

    @property
    def quote_decimals(self) -> int:
        """Decimals of quote volumes: a month of the busiest symbol still fits 64 bits."""
        return min(self.price_decimals + self.lot_decimals, 8 - max(0, floor(log10(self.quote_volume)) - 8))


def _magnitude(price: float) -> int:
    return floor(log10(price))


def _onboard(name: str, first_year: int) -> int:
    """A fixed listing day between `first_year` and mid 2025."""
    start = (first_year - 1970) * 365 + 8
    return (start + key_of("onboard", name) % (20_270 - start)) * DAY


def _volatility(base: str, rank: int) -> tuple[float, float]:
    if base in STABLE:
        return 0.0002, 0.0
    if base == "BTC":
        return 0.012, 1.0
    return 0.022 + 0.016 * (key_of("volatility", base) % 1000) / 1000 + 0.0001 * rank, 1.15


def spot(base: str, price: float, rank: int, quote: str = "USDT") -> Listing:
    """A spot listing on the exchange's usual terms for its price."""
    volatility, beta = _volatility(base, rank)
    thin = THIN if base in (SPOT_ONLY | THOUSANDS) - STABLE else 1.0
    decimals = SPOT_TICKS.get(base, min(8, max(2, 3 - _magnitude(price))))
    return Listing(
        symbol=base + quote, market="spot", base=base, quote=quote, price=price,
        quote_volume=2.2e9 / rank**1.08 * thin, rank=rank, path=base, volatility=volatility, beta=beta,
        price_decimals=decimals, tick_units=1, lot_decimals=min(5, max(0, _magnitude(price) + 1)),
        onboard=1_502_928_000_000 if base in {"BTC", "ETH"} else _onboard(base, 2019),
    )  # fmt: skip


def perpetual(of: Listing) -> Listing:
    """The USD-M perpetual of a spot listing: by the thousand where its price has too many zeros."""
    thousand = of.base in THOUSANDS
    price = of.price * 1000 if thousand else of.price
    base = "1000" + of.base if thousand else of.base
    usual = min(7, max(2, 3 - _magnitude(price)) + (price < 100)), 1
    decimals, units = FUTURES_TICKS.get(of.base, usual)
    lot = {"BTC": 3, "ETH": 3}.get(of.base, min(2, max(0, _magnitude(price))))
    return replace(
        of, symbol=base + of.quote, market="futures", base=base, price=price, quote_volume=of.quote_volume * 4,
        price_decimals=decimals, tick_units=units, lot_decimals=lot, contract_type="PERPETUAL",
        onboard=max(of.onboard, 1_567_965_420_000) + 3 * DAY,
    )  # fmt: skip


def _quarterly(of: Listing, symbol: str, delivery: int, basis: float) -> Listing:
    kind = "CURRENT_QUARTER" if basis < 0.015 else "NEXT_QUARTER"
    return replace(of, symbol=symbol, contract_type=kind, delivery=delivery, basis=basis, rank=of.rank + 40,
                   quote_volume=of.quote_volume / 100, onboard=delivery - 180 * DAY, closed_at=delivery)  # fmt: skip


def _odd_spot(coins: dict[str, Listing]) -> Iterator[Listing]:
    """Other quotes, and symbols that no longer trade."""
    btc, eth, bnb = coins["BTC"], coins["ETH"], coins.get("BNB") or spot("BNB", 585, 8)
    yield replace(btc, symbol="BTCEUR", quote="EUR", price=60_150.0, quote_volume=4e7, rank=20)
    yield replace(btc, symbol="BTCFDUSD", quote="FDUSD", price=65_050.0, quote_volume=1.5e9, rank=3)
    yield replace(btc, symbol="BTCUSDC", quote="USDC", price=64_990.0, quote_volume=3e8, rank=8)
    yield replace(eth, symbol="ETHBTC", quote="BTC", path="ETHBTC", price=0.0538, volatility=0.014, beta=0.0,
                  quote_volume=1500.0, rank=15, price_decimals=5)  # fmt: skip
    yield replace(bnb, symbol="BNBBTC", quote="BTC", path="BNBBTC", price=0.009, volatility=0.012, beta=0.0,
                  quote_volume=120.0, rank=60, price_decimals=6)  # fmt: skip
    for base, price, closed_day in (("BTT", 0.00312, 19_010), ("BUSD", 0.9998, 19_707), ("XMR", 121.3, 19_774)):
        yield replace(spot(base, price, 90), status="BREAK", onboard=18_000 * DAY, closed_at=closed_day * DAY)


def _odd_futures(coins: dict[str, Listing]) -> Iterator[Listing]:
    """Contracts that end, contracts on shares, symbols without a spot market, and one that is being settled."""
    btc, eth = perpetual(coins["BTC"]), perpetual(coins["ETH"])
    december, march = 1_798_185_600_000, 1_806_048_000_000  # 2026-12-25 and 2027-03-26, 08:00 UTC
    for of in (btc, eth):
        yield _quarterly(of, of.symbol + "_261225", december, 0.009)
        yield _quarterly(of, of.symbol + "_270326", march, 0.021)
    yield perpetual(replace(spot("币安人生", 0.1425, 45), onboard=20_369 * DAY))
    yield perpetual(spot("BTCDOM", 2310.0, 70))
    yield replace(perpetual(spot("TSLA", 352.0, 60)), contract_type="TRADIFI_PERPETUAL")
    yield replace(perpetual(spot("XAU", 2655.0, 50)), contract_type="TRADIFI_PERPETUAL")
    yield replace(perpetual(spot("WAVES", 1.05, 100)), status="SETTLING", onboard=18_300 * DAY, closed_at=19_890 * DAY)


def listings(count: int) -> tuple[Listing, ...]:
    """Every listing of both markets, with `count` (at least 2) spot coins that trade against USDT.

    Beyond the coins known by name come made-up ones, so that any number can be had.
    """
    words = COINS.split()
    priced = [(base, float(price)) for base, price in zip(words[::2], words[1::2], strict=True)]
    priced += [(f"COIN{i}", 10 ** (key_of("coin", i) % 4000 / 1000 - 2)) for i in range(len(priced), count)]
    coins = {base: spot(base, price, rank) for rank, (base, price) in enumerate(priced[: max(2, count)], start=1)}
    futures = [perpetual(coin) for coin in coins.values() if coin.base not in SPOT_ONLY]
    return (*coins.values(), *_odd_spot(coins), *futures, *_odd_futures(coins))
