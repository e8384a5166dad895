"""What Celery's processes do beside their tasks: collect at once, watch, show signs of life, die together."""

import ctypes
import logging
import os
import signal
from typing import Any

from celery.signals import beat_init, before_task_publish, task_postrun, worker_process_init, worker_ready
from django.conf import settings
from kombu.exceptions import OperationalError

from collector.heartbeat import beat, task_done

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1


@worker_ready.connect
def on_worker_ready(**_: Any) -> None:
    """The first collection starts at once, and a minute that a killed worker left is finished."""
    from collector import watch
    from collector.tasks import collect_candles, collect_minute

    beat("worker")
    watch.begin()
    try:
        collect_minute.apply_async(expires=50)
        collect_candles.apply_async(countdown=5, expires=55)
    except OperationalError as error:  # Beat starts the next minute
        logger.warning("the first collection waits for the next minute: %s", error)


@worker_process_init.connect
def on_worker_process_init(**_: Any) -> None:
    """A worker's child must not outlive it: its tasks are given to the next worker."""
    # tradingplatform.launch makes the same call; it runs without the project's packages, and stands above this one.
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


@task_postrun.connect
def on_task_done(**_: Any) -> None:
    """Seen in a worker's child; its parent is the process that writes the signs of life."""
    task_done(os.getppid())


@beat_init.connect
def on_beat_init(**_: Any) -> None:
    beat("beat")


@before_task_publish.connect
def on_task_sent(**_: Any) -> None:
    if settings.PROCESS == "beat":
        task_done(os.getpid())
