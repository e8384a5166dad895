"""Every kind of batch that the collector puts into the spool: whoever stores what waits there must know all of them."""

from collector import audits, futures_tasks, gathered
from collector.feed import candles, keeping, tape_keeping

__all__ = ["audits", "candles", "futures_tasks", "gathered", "keeping", "tape_keeping"]
