"""Whatever any process may put in the spool, the worker that empties it has to know."""

import re
import subprocess
import sys

from tests.web_process import ROOT

WORKER = """
import django; django.setup()
from tradingplatform.celery import app
app.loader.import_default_modules()
import collector.watch
from depth.intake import _KINDS
print(*sorted(_KINDS))
"""


def test_the_worker_knows_every_kind_of_batch():
    sources = [
        path for app in ("collector", "depth", "candles", "derivatives", "dex") for path in (ROOT / app).rglob("*.py")
    ]
    named = {name for path in sources for name in re.findall(r'= kind\(\s*"([\w.]+)"', path.read_text())}
    known = subprocess.run([sys.executable, "-c", WORKER], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(named) >= 10
    assert named <= set(known.split())
