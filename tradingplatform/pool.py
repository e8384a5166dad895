"""What a process of a pool does first, importable before Django is set up."""

import signal

import django

from tradingplatform.launch import die_with_parent


def begin() -> None:
    """Django's set-up, and an end together with the process that made this one."""
    die_with_parent(signal.SIGKILL)
    django.setup()
