"""The whole platform as a user starts it, on a port and a folder of its own, ended with all it has started."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.web_process import ROOT, free_port

OURS = ("DATABASE_URL", "REDIS_URL", "CACHE_REDIS_URL", "DATA_DIR", "SECRET_KEY", "DJANGO_SETTINGS_MODULE")


class Platform:
    """`mode` is demo or run; variables are those of .env.example. Use it as a context manager."""

    def __init__(self, mode, folder, **variables):
        self.port = int(variables.setdefault("PORT", str(free_port())))
        self.folder = Path(folder)
        self.log = self.folder.with_suffix(".log")
        environ = {name: value for name, value in os.environ.items() if name not in OURS}
        self.environ = environ | {"ENV_FILE": os.devnull, "DATA_DIR": str(folder)} | variables
        self.argv = [sys.executable, "-m", "tradingplatform.supervisor", mode]
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, cwd=ROOT, env=self.environ, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self, patience=60):
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            sys.stderr.write(self.log.read_text()[-8000:])
        if self.process.poll() is None:
            self.stop()

    def get(self, path):
        """(status, body) of a JSON address; (0, None) where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with contextlib.suppress(ValueError):
                return error.code, json.load(error)
            return error.code, None
        except OSError:
            return 0, None

    def wait(self, what, path, accept, patience=400):
        """The first body of `path` that `accept`s; fails with the last one after `patience` seconds."""
        until, body = time.monotonic() + patience, None
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"the platform ended ({self.process.returncode}) before {what}")
            _, body = self.get(path)
            if body is not None and accept(body):
                return body
            time.sleep(0.3)
        raise AssertionError(f"{what} did not come within {patience} s; last answer: {body}")

    def wait_healthy(self, patience=400):
        return self.wait("health", "/api/health", lambda body: body.get("status") == "healthy", patience)
