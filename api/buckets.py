"""Hours and days of futures events, and contracts at a glance, as answers tell them: numbers, for charts."""

from datetime import datetime
from typing import Any

from api.times import epoch_ms
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
        "nextFundingTime": _moment(it.next_funding_time),
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
        "timestamp": _moment(row.mark_time),
        "markPrice": row.mark_price,
        "indexPrice": row.index_price,
        "basisPercent": row.basis_percent,
        "fundingRate": row.funding_rate,
        "nextFundingTime": _moment(row.next_funding_time),
        "openInterest": row.open_interest,
        "openInterestNotional": row.notional,
        "openInterestTimestamp": _moment(row.interest_time),
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


def _moment(value: datetime | None) -> int | None:
    return None if value is None else epoch_ms(value)
