"""What the web process loads before its first request."""

import os
import subprocess
import sys

from tests.web_process import ROOT
from tradingplatform.warm import template_names

# The whole application, warm, in a process of its own: which of our modules does the first page still import?
FIRST = """
import sys
from tradingplatform import asgi
from django.test import Client
known = set(sys.modules)
print(Client(raise_request_exception=False).get("/dex/").status_code)
ours = ("api", "depth", "dex", "candles", "markets", "alerts", "derivatives", "collector", "tradingplatform")
print(sorted(name for name in set(sys.modules) - known if name.split(".")[0] in ours))
"""


def run(**changes):
    environ = os.environ | {"DJANGO_SETTINGS_MODULE": "tradingplatform.settings", "LOG_LEVEL": "ERROR"} | changes
    return subprocess.run([sys.executable, "-c", FIRST], cwd=ROOT, env=environ, capture_output=True, text=True)


def test_pages_find_everything_loaded():
    done = run()
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr[-2000:]


def test_it_starts_while_the_database_is_away():
    done = run(DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert done.stdout.splitlines() == ["503", "[]"], done.stderr[-2000:]


def test_every_template_is_found():
    assert {"base.html", "dex/orders.html"} <= set(template_names())
