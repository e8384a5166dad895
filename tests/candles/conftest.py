"""What the tests of candles share: a database without candles, outside of any transaction."""

import pytest
from django.db import connection

from candles import cache, rollups
from tests.candles.factories import BTC, ETH


def empty():
    cache.forget([BTC, ETH])
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE candles, candles_unrolled, candles_state, candles_holes, candles_range_requests")
        cursor.execute("TRUNCATE candles_derived, indicators, analysis, candles_backtests")
        for name in rollups.RELATIONS:
            if rollups.is_continuous():
                cursor.execute("CALL refresh_continuous_aggregate(%s, NULL, NULL, force => true)", [name])
            else:
                cursor.execute(f"TRUNCATE {name}")


@pytest.fixture
def nothing_stored(transactional_db, empty_redis):
    empty()
    yield
    empty()
