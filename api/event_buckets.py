"""Hours and days of futures events, and contracts at a glance, as answers tell them: numbers, for charts."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from api.times import ms_or_none
from derivatives import selectors
from derivatives.history import Flow, InterestBucket, Liquidated, MarkBucket
from derivatives.market import ContractRow


def flow(it: Flow) -> dict[str, Any]:
    return {
        **_bucket(it.time, it.closed),
        "trades": it.count,
        "fills": it.fills,
        "volume": it.volume,
        "quoteVolume": it.quote_volume,
        "takerBuyVolume": it.buy_volume,
        "takerSellVolume": it.sell_volume,
        "takerBuyQuoteVolume": it.buy_quote_volume,
        "takerSellQuoteVolume": it.sell_quote_volume,
        "delta": it.buy_volume - it.sell_volume,
        "cvd": it.cvd,
        "cvdQuote": it.cvd_quote,
        "missingTrades": it.missing,
        "complete": it.complete,
    }


def mark(it: MarkBucket) -> dict[str, Any]:
    index = it.index_close
    return {
        **_bucket(it.time, it.closed),
        "samples": it.samples,
        "markOpen": it.mark_open,
        "markHigh": it.mark_high,
        "markLow": it.mark_low,
        "markClose": it.mark_close,
        "indexClose": index,
        "basisPercent": float((it.mark_close - index) / index * 100) if index else None,
        "fundingRate": it.funding_rate,
        "fundingLow": it.funding_low,
        "fundingHigh": it.funding_high,
        "nextFundingTime": ms_or_none(it.next_funding_time),
        "complete": it.complete,
    }


def liquidated(it: Liquidated) -> dict[str, Any]:
    return {
        **_bucket(it.time, it.closed),
        "longCount": it.long_count,
        "longNotional": it.long_notional,
        "shortCount": it.short_count,
        "shortNotional": it.short_notional,
        "largest": it.largest,
    }


def interest(it: InterestBucket) -> dict[str, Any]:
    return {
        **_bucket(it.time, it.closed),
        "samples": it.samples,
        "open": it.open,
        "high": it.high,
        "low": it.low,
        "close": it.close,
        "notionalOpen": it.notional_open,
        "notionalClose": it.notional_close,
        "complete": it.complete,
    }


def contract(row: ContractRow) -> dict[str, Any]:
    return {
        "symbol": row.symbol,
        "timestamp": ms_or_none(row.mark_time),
        "markPrice": row.mark_price,
        "indexPrice": row.index_price,
        "basisPercent": row.basis_percent,
        "fundingRate": row.funding_rate,
        "nextFundingTime": ms_or_none(row.next_funding_time),
        "openInterest": row.open_interest,
        "openInterestNotional": row.notional,
        "openInterestTimestamp": ms_or_none(row.interest_time),
        "change1h": row.change_1h,
        "change24h": row.change_24h,
        "longLiquidations1h": row.long_liquidations,
        "shortLiquidations1h": row.short_liquidations,
        "liquidations1h": row.liquidations,
        "heardMinutes": row.heard_minutes,
        "stale": row.stale,
    }


def _bucket(time: datetime, closed: bool) -> dict[str, Any]:
    return {"time": int(time.timestamp()), "closed": closed}


# --- into files ------------------------------------------------------------------------------------------------------

HEAD = (("timestamp", "moment"), ("symbol", "text"))
TAIL = (("complete", "flag"), ("closed", "flag"))
MARK_NUMBERS = (
    *("markOpen", "markHigh", "markLow", "markClose", "indexClose", "basisPercent"),
    *("fundingRate", "fundingLow", "fundingHigh"),
)


def _numbers(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, "number") for name in names)


MARK_COLUMNS = (*HEAD, ("samples", "whole"), *_numbers(*MARK_NUMBERS), ("nextFundingTime", "moment"), *TAIL)
COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "trades": (
        *(*HEAD, ("marketType", "text"), ("trades", "whole"), ("fills", "whole")),
        *_numbers("volume", "quoteVolume", "takerBuyVolume", "takerSellVolume"),
        *_numbers("takerBuyQuoteVolume", "takerSellQuoteVolume", "delta", "cvd", "cvdQuote"),
        *(("missingTrades", "whole"), *TAIL),
    ),
    "mark-prices": MARK_COLUMNS,
    "funding": MARK_COLUMNS,
    "liquidations": (
        *(*HEAD, ("longCount", "whole"), ("longNotional", "number"), ("shortCount", "whole")),
        *(("shortNotional", "number"), ("largest", "number"), ("lowerBound", "flag"), ("closed", "flag")),
    ),
    "open-interest": (
        *(*HEAD, ("samples", "whole"), *_numbers("open", "high", "low", "close", "notionalOpen", "notionalClose")),
        *TAIL,
    ),
}


def stretches(
    dataset: str, series: Sequence[tuple[str, str]], start: datetime, end: datetime, interval: str, now: datetime
) -> Iterator[list[list[Any]]]:
    """Rows of COLUMNS, series by series (symbol, market); CVD counts from `start`."""
    names = [name for name, _ in COLUMNS[dataset]]
    for symbol, market in series:
        whose = {"symbol": symbol, "marketType": market, "lowerBound": True}
        told = [
            {**shown, **whose, "timestamp": datetime.fromtimestamp(shown["time"], UTC)}
            for shown in _of(dataset, symbol, market, (start, end, interval, now))
        ]
        for row in told:
            if row.get("nextFundingTime") is not None:
                row["nextFundingTime"] = datetime.fromtimestamp(row["nextFundingTime"] / 1000, UTC)
        if told:
            yield [[row[name] for name in names] for row in told]


def _of(dataset: str, symbol: str, market: str, span: tuple[datetime, datetime, str, datetime]) -> list[dict[str, Any]]:
    if dataset == "trades":
        return [flow(one) for one in selectors.flow(market, symbol, *span)]
    if dataset == "liquidations":
        return [liquidated(one) for one in selectors.liquidated(symbol, *span)]
    if dataset == "open-interest":
        return [interest(one) for one in selectors.interest(symbol, *span)]
    return [mark(one) for one in selectors.marks(symbol, *span)]
