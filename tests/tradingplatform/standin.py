"""The real supervisor, with real servers, over stand-in programs: `python standin.py demo|run`.

`writer` stores numbers as fast as it can and notes each in DATA_DIR/acknowledged once it is committed; `parent` has a
child that ignores every polite request; `web` answers /api/health. FAIL names a program that ends at once.
"""

import http.server
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import redis

from tradingplatform import supervisor
from tradingplatform.processes import APPLICATION, Program

SHOWN = ("DATABASE_URL", "REDIS_URL", "PORT", "DATA_DIR", "SIMULATED_MARKET", "BINANCE_SPOT_REST_URL", "ADMIN_PASSWORD")


def programs(plan):
    shared = plan.decided | plan.marks | {"PYTHONUNBUFFERED": "1"}
    shared["DATA_DIR"] = str(plan.configuration.data_dir)
    failing = os.environ.get("FAIL")
    host, port = plan.configuration.host, plan.configuration.port

    def program(name, **options):
        argv = (sys.executable, __file__, "fail" if name == failing else name)
        return Program(name, argv, APPLICATION, shared, **options)

    return [
        *supervisor.servers(plan),
        program("tables", once=True),
        program("web", ready=lambda: supervisor.listens(host, port)),
        program("writer"),
        program("parent"),
    ]


def tables():
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS numbers (number bigint PRIMARY KEY)")
    print("told", json.dumps({name: os.environ.get(name) for name in SHOWN}))


def writer():
    notes = Path(os.environ["DATA_DIR"], "acknowledged")
    queue = redis.Redis.from_url(os.environ["REDIS_URL"])
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection, notes.open("a") as file:
        number = connection.execute("SELECT coalesce(max(number), 0) FROM numbers").fetchone()[0]
        while True:
            number += 1
            connection.execute("INSERT INTO numbers VALUES (%s)", [number])
            queue.sadd("numbers", number)
            file.write(f"{number}\n")
            file.flush()


def parent():
    ignore = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; time.sleep(1000)"
    subprocess.Popen([sys.executable, "-c", ignore])
    time.sleep(1000)


def web():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"status": "healthy"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()


def fail():
    print("this program always fails")
    sys.exit(7)


if __name__ == "__main__":
    if sys.argv[1] in {"demo", "run"}:
        supervisor.programs = programs
        sys.exit(supervisor.main(sys.argv[1:]))
    {"tables": tables, "writer": writer, "parent": parent, "web": web, "fail": fail}[sys.argv[1]]()
