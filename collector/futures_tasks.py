"""What the workers do about trades and open interest: fetch trades that did not come, ask for open interest."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from time import monotonic

from django.conf import settings
from django.utils import timezone

from collector.asking import MarketHalted, NoLeave, ask, budget_of
from collector.exchanges import EXCHANGES
from collector.exchanges.base import Refused, Venue, VenueError
from collector.exchanges.streams import AggregateTrade
from collector.feed.tape_keeping import TRADES
from collector.limits import Priority, WeightBudget
from collector.selectors import run_state
from collector.venues import venue
from depth.services import accept, kind
from derivatives import services
from derivatives.events import IdRange, Interest, Trade, missing_ids
from derivatives.models import TradeGap
from derivatives.selectors import stored_ids
from markets.selectors import collected_symbols
from markets.storage import DATABASE_AWAY, alone

logger = logging.getLogger(__name__)

INTEREST = kind("derivatives.interest", list[Interest], services.store_interest)
# The exchange gives trades of the last 48 hours; an older range is asked for once all the same.
LONGEST = 45.0  # seconds that one run takes
TIMEOUT = 8.0
GAPS_AT_ONCE = 1000
GONE = "the exchange does not give them"
LOCKS = {"trades": 0x74726164650001, "interest": 0x74726164650002}
AROUND = timedelta(days=3)  # stored trades of a gap are looked for so far around when it was found


def repair_trades() -> int:
    """Fetches what is missing of trades, oldest gap first, as far as the budget and LONGEST go; gives how many trades
    were asked for."""
    return _alone_and_running("trades", _repair_trades)


def collect_open_interest() -> int:
    """Asks for the open interest of every collected contract, as far as the budget goes; gives how many were stored."""
    return _alone_and_running("interest", _collect_open_interest)


def _alone_and_running(name: str, work: Callable[[], int]) -> int:
    try:
        with alone(LOCKS[name]) as held:
            if not held or not run_state().running:
                return 0
            return work()
    except DATABASE_AWAY as error:
        logger.warning("%s wait for the next time: the database is away (%s)", name, str(error).strip())
        return 0


# --- trades ----------------------------------------------------------------------------------------------------------


def _repair_trades() -> int:
    until, fetched = monotonic() + LONGEST, 0
    chosen = venue("binance")
    gaps = sorted(services.open_gaps(GAPS_AT_ONCE), key=lambda gap: (gap.market_type, gap.symbol, gap.first))
    for _, series in groupby(gaps, key=lambda gap: (gap.market_type, gap.symbol)):
        try:
            fetched += _repair_series(chosen, list(series), until)
        except (NoLeave, MarketHalted) as error:
            logger.info("missing trades wait: %s", error)
        except VenueError as error:
            logger.warning("missing trades: %s", error)
    return fetched


def _repair_series(chosen: Venue, gaps: list[TradeGap], until: float) -> int:
    """The gaps of one series, ascending; one answer fills all that it reaches. What there is no time for stays open,
    and what was stored is not asked for again. Raises NoLeave and VenueError."""
    market, symbol, fetched = gaps[0].market_type, gaps[0].symbol, 0
    next_id = _first_missing(gaps[0])
    while gaps and monotonic() < until:
        try:
            found = _fetch(chosen, market, symbol, next_id)
        except Refused as error:
            for gap in gaps:
                services.settle(gap, _stored(gap, []), timezone.now(), str(error))
            break
        wanted = [trade for trade in found if any(gap.first <= trade.id <= gap.last for gap in gaps)]
        if wanted:
            accept(TRADES, [_stored_later(trade) for trade in wanted])
            fetched += len(wanted)
        # Nothing from there on, or the exchange goes on behind it: what lies before is had no more.
        reached = found[-1].id if found else gaps[-1].last
        for gap in [gap for gap in gaps if gap.last <= reached]:
            times = [trade.trade_time for trade in wanted if gap.first <= trade.id <= gap.last]
            services.settle(gap, _stored(gap, times[:1] + times[-1:]), timezone.now(), GONE)
        gaps = [gap for gap in gaps if gap.last > reached]
        next_id = max(reached + 1, gaps[0].first) if gaps else reached
    return fetched


def _fetch(chosen: Venue, market: str, symbol: str, first: int) -> list[AggregateTrade]:
    return ask(
        budget_of(chosen, market),
        chosen.trades_weight[market],
        partial(chosen.fetch_trades, market, symbol, first, chosen.most_trades, TIMEOUT),
        Priority.REPAIR,
    )


def _first_missing(gap: TradeGap) -> int:
    """Where to go on: parts of it may be stored since an earlier try."""
    holes = missing_ids(IdRange(gap.market_type, gap.symbol, gap.first, gap.last), _stored(gap, []))
    return holes[0].first if holes else gap.last


def _stored(gap: TradeGap, times: Sequence[int]) -> list[int]:
    """Ids of the gap that are stored; `times` (epoch milliseconds) widen where they are looked for."""
    moments = [gap.found_at - AROUND, gap.found_at + AROUND, *(datetime.fromtimestamp(ms / 1000, UTC) for ms in times)]
    return stored_ids(gap, min(moments), max(moments))


def _stored_later(it: AggregateTrade) -> Trade:
    return Trade(
        it.market, it.symbol, it.id, it.trade_time, None, it.price, it.quantity, it.first_trade_id, it.last_trade_id,
        it.buyer_is_maker,
    )  # fmt: skip


# --- open interest ---------------------------------------------------------------------------------------------------


def _collect_open_interest() -> int:
    until, rows = monotonic() + LONGEST, []
    for chosen in map(venue, EXCHANGES):
        market = chosen.interest_market
        if market not in settings.VENUE_URLS[chosen.name]:
            continue
        limits = budget_of(chosen, market)
        for symbol in collected_symbols(market, chosen.name):
            if monotonic() > until:
                break
            try:
                rows.append(_interest(chosen, limits, symbol.name))
            except (NoLeave, MarketHalted) as error:
                logger.info("open interest is asked again next minute: %s", error)
                break
            except VenueError as error:
                logger.warning("open interest of %s: %s", symbol.name, error)
    if rows:
        accept(INTEREST, rows)
    return len(rows)


def _interest(chosen: Venue, limits: WeightBudget, name: str) -> Interest:
    told = ask(
        limits,
        chosen.interest_weight,
        lambda: chosen.fetch_open_interest(name, TIMEOUT),
        Priority.OPEN_INTEREST,
    )
    return Interest(told.symbol, told.time, told.open_interest)
