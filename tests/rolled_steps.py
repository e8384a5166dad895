"""Steps of a rollup's property test: batches of rows, and hours at which it is rolled up."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any


def play(
    steps: Sequence[Any],
    day: datetime,
    store: Callable[[Any], Any],
    roll_up: Callable[[datetime], Any],
    check: Callable[[], None],
) -> None:
    """`check` after every step; each batch is stored, and a part of it once more. Rolled up to the end at last."""
    for step in steps:
        if isinstance(step, int):
            roll_up(day + timedelta(hours=step, minutes=30))
        else:
            store(step)
            store(step[:5])
        check()
    roll_up(day + timedelta(days=4))
    check()
