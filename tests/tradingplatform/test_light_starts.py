"""What each process loads at its start: nothing heavy that it never uses; slow machines wait long for that."""

import json
import os
import subprocess
import sys

import pytest
from django.core.management import call_command, load_command_class

TASKS = "from tradingplatform.celery import app; app.loader.import_default_modules()"
FEED = "import django; django.setup(); import collector.management.commands.run_feed"
SCANNER = "import django; django.setup(); import collector.management.commands.run_scanner"
WEB = "import tradingplatform.asgi"
PAGES = {"api.urls", "tradingplatform.urls", "drf_spectacular.plumbing"}
SERVER = {"daphne.server", "twisted.internet.reactor"}


@pytest.mark.parametrize(
    ("process", "code", "unused", "used"),
    [
        (
            "beat",
            TASKS,
            {*PAGES, *SERVER, "numpy", "requests", "eth_abi", "collector.tasks"},
            "collector.celery_signals",
        ),
        ("worker", TASKS, {*PAGES, *SERVER, "pyarrow", "candles.admin"}, "collector.tasks"),
        ("feed", FEED, {*PAGES, *SERVER, "pyarrow", "eth_abi", "candles.admin"}, "collector.feed.run"),
        ("scanner", SCANNER, {*PAGES, *SERVER, "pyarrow", "numpy", "candles.admin"}, "dex.services"),
        ("web", WEB, {"eth_abi", "eth_utils", "web3"}, "api.urls"),
        ("supervisor", "import tradingplatform.supervisor", {"django", "celery", "numpy"}, "tradingplatform.env"),
    ],
)
def test_a_process_loads_what_it_uses(process, code, unused, used):
    environ = os.environ | {"DJANGO_SETTINGS_MODULE": "tradingplatform.settings", "PLATFORM_PROCESS": process}
    code += "; import json, sys; print(json.dumps(sorted(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    loaded = set(json.loads(told.stdout.splitlines()[-1]))
    assert used in loaded
    heavy = unused & loaded
    assert not heavy


def test_the_commands_of_processes_leave_the_checks_to_the_check_command():
    commands = [("collector", "run_feed"), ("collector", "run_scanner"), ("tradingplatform", "prepare")]
    for app, name in [*commands, ("tradingplatform", "load_past")]:
        assert not load_command_class(app, name).requires_system_checks
    call_command("check", fail_level="WARNING")  # what they leave out finds nothing
