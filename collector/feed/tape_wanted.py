"""Which trades, mark prices and liquidations the feed takes: by settings, of what is collected."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from django.conf import settings

from collector.exchanges.base import Venue
from collector.exchanges.streams import Kind
from collector.feed.leases import WHOLE_MARKET, Holder
from collector.feed.parts import Wish
from collector.feed.tape import Key, TapePlan
from derivatives.selectors import newest_ids
from markets.selectors import collected_symbols

# Trades since the newest stored one are fetched where it is not older than this: the exchange gives no more.
REACH = timedelta(hours=48)


def tape_to_follow(venue: Venue, holder: Holder, followed: Collection[Key], running: bool) -> TapePlan:
    """What is wanted now; nothing while collection is switched off. Series that are not in `followed` begin behind
    their newest stored trade. Raises one of DATABASE_AWAY."""
    if not running:
        return TapePlan({}, frozenset(), ())
    trades: dict[Key, int | None] = {}
    contracts: set[str] = set()
    for market in venue.markets:
        kinds = settings.STREAM_KINDS[market]
        rows = list(collected_symbols(market, venue.name))
        if Kind.TRADES in kinds:
            wanted = rows if settings.TRADE_SYMBOLS == "collected" else [row for row in rows if row.live]
            trades |= {(market, row.name): None for row in wanted if holder.holds(row.name)}
        if market == venue.interest_market and holder.holds(WHOLE_MARKET):
            contracts |= {row.name for row in rows}
    new = [key for key in trades if key not in followed]
    if new:
        trades |= newest_ids(new, datetime.now(UTC) - REACH)
    return TapePlan(trades, frozenset(contracts), _streams(venue.interest_market) if contracts else ())


def raw_depth_to_follow(venue: Venue, holder: Holder, running: bool) -> Collection[Key]:
    """Whose raw diffs are kept: what DEPTH_UPDATES names, as far as it is collected. Raises one of DATABASE_AWAY."""
    if not running or not settings.DEPTH_UPDATES:
        return ()
    collected = {(market, row.name) for market in venue.markets for row in collected_symbols(market, venue.name)}
    return [key for key in sorted(settings.DEPTH_UPDATES) if key in collected and holder.holds(key[1])]


def _streams(market: str) -> list[Wish]:
    kinds = settings.STREAM_KINDS[market]
    return [Wish(market, kind, None) for kind in (Kind.MARK_PRICE, Kind.LIQUIDATIONS) if kind in kinds]
