"""A thousand live clients for a minute on one web process: `python -m tests.soak.sockets [clients] [rounds]`.

On servers of its own; ends with a table, and with 1 where a client was told what nobody published, or old after new.
How long a state takes is measured by `python -m bench sockets`: here all clients live in one process."""

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import psutil

PAUSE = 0.25  # seconds between two states of a symbol


def campaign(clients: int = 1000, rounds: int = 240) -> bool:
    from tests.sockets.conftest import SYMBOLS, Feed, filled, running
    from tests.sockets.crowd import gather

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trading-soak-")))
        site = stack.enter_context(running(stack.enter_context(filled(folder, clients + 10))))
        crowd = gather(site, Feed(), SYMBOLS, clients, rounds, PAUSE, patience=300.0)
        memory = psutil.Process(site.process.pid).memory_info().rss / 1e6
    show("clients", f"{crowd.clients:,}")
    show("states published", f"{crowd.published:,}")
    show("states delivered", f"{crowd.delivered:,}")
    show("skipped", f"{crowd.skipped:,} ({crowd.skipped_share:.2%})")
    show("published by nobody", f"{crowd.foreign:,}")
    show("clients told old after new", f"{crowd.disordered:,}")
    show("web process, MB", f"{memory:.0f}")
    return not crowd.foreign and not crowd.disordered


def show(name: str, figure: str) -> None:
    print(f"{name:>28}  {figure}", flush=True)


if __name__ == "__main__":
    import tests.servers  # noqa: F401 - its import starts the servers and sets their addresses

    os.environ["DJANGO_SETTINGS_MODULE"] = "tradingplatform.settings"
    import django

    django.setup()
    sys.exit(0 if campaign(*map(int, sys.argv[1:])) else 1)
