"""The platform's one command: `python -m tradingplatform.supervisor demo|run` decides what runs, then keeps it running.

What it decides goes to each process by its environment, and to DATA_DIR/environment for commands in other shells.
"""

import argparse
import asyncio
import contextlib
import errno
import http.client
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from collector.chains import anvil
from tradingplatform import aftermath, embedded, env
from tradingplatform.processes import (
    APPLICATION,
    EXCHANGE,
    POSTGRES,
    REDIS,
    Log,
    Program,
    StartError,
    Supervisor,
)

# In the environment of every process of ours but PostgreSQL's, which ends by itself and shall not be hurried.
MARK = "PLATFORM_SUPERVISOR"  # the DATA_DIR that it belongs to
RUN = "PLATFORM_RUN"  # the one run that it belongs to
WORKER_PROCESSES = 4
QUIET_ROOT = ("-W", "ignore:You're running the worker")  # Celery's six lines to root; tasks are JSON, not code
MIGRATE = ("manage.py", "migrate", "--noinput", "--skip-checks", "-v", "0")  # the checks load every page
PRIVATE_PORTS = range(20_000, 32_000)  # below those that outgoing connections take


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run is: its configuration, its servers' addresses and what other processes have to know of it."""

    configuration: env.Environment
    home: Path
    simulator_port: int | None
    chain_port: int | None  # of a chain of our own
    decided: dict[str, str]
    administrator: tuple[str, str]
    marks: dict[str, str]


def decide(mode: str, configuration: env.Environment, given: dict[str, str], password: str) -> Plan:
    """The plan of `demo` (the simulator on a port of its own) or `run` (whatever the configuration names)."""
    simulator_port = free_port() if mode == "demo" else None
    simulated = mode == "demo" or configuration.simulated_market
    home = embedded.home(configuration.data_dir, simulated=simulated)
    where = embedded.addresses(home)
    decided = {
        "DATABASE_URL": configuration.database_url or where.database_url,
        "REDIS_URL": configuration.redis_url or where.redis_url,
        "SIMULATED_MARKET": str(int(simulated)),
        "PORT": str(configuration.port),
    }
    if configuration.cache_redis_url:
        decided["CACHE_REDIS_URL"] = configuration.cache_redis_url
    for variable, scheme in (("REST_URL", "http"), ("WS_URL", "ws")):
        for market in ("SPOT", "FUTURES"):
            if simulator_port is not None:
                decided[f"BINANCE_{market}_{variable}"] = f"{scheme}://127.0.0.1:{simulator_port}"
    own_chain = mode == "demo" and not configuration.web3_providers and anvil.anvil() is not None
    chain_port = free_port() if own_chain else None
    if chain_port is not None:
        decided["WEB3_PROVIDERS"] = f"http://127.0.0.1:{chain_port}"
        decided |= {"TRADING_ADDRESS": anvil.ORDERS, "ROUTER_ADDRESS": anvil.ROUTER}
        decided["TOKEN_ASSETS"] = ",".join(anvil.ASSETS)
    elif configuration.web3_providers and not configuration.trading_address:
        raise env.ConfigurationError("TRADING_ADDRESS has to say what WEB3_PROVIDERS are asked about; it is not set")
    marks = {MARK: str(configuration.data_dir), RUN: secrets.token_hex(8)}
    administrator = (given.get("ADMIN_USER", "admin"), password)
    return Plan(configuration, home, simulator_port, chain_port, decided, administrator, marks)


def programs(plan: Plan) -> list[Program]:
    """Every program of a plan in the order of start."""
    shared = plan.decided | plan.marks | {"DATA_DIR": str(plan.configuration.data_dir), "PYTHONUNBUFFERED": "1"}
    user, password = plan.administrator
    once = shared | {"PLATFORM_PROCESS": "prepare"}
    prepare = once | {"ADMIN_USER": user, "ADMIN_PASSWORD": password}
    host, port = plan.configuration.host, plan.configuration.port
    listening = ("-b", host, "-p", str(port), "-v", "0", "--no-server-name", "--application-close-timeout", "3")
    worker = ("worker", "--concurrency", str(WORKER_PROCESSES), "--without-gossip", "--without-mingle")
    celery = ("celery", "-A", "tradingplatform", "--quiet")
    return [
        *servers(plan),
        *simulator(plan, shared),
        *chain(plan, shared),
        Program("migrate", _python(*MIGRATE), APPLICATION, once, once=True),
        Program("prepare", _python("manage.py", "prepare"), APPLICATION, prepare, once=True),
        Program(
            "web",
            _python("-m", "tradingplatform.web", *listening, "tradingplatform.asgi:application"),
            APPLICATION,
            shared | {"PLATFORM_PROCESS": "web"},
            ready=lambda: listens(host, port),
        ),
        Program(
            "worker",
            _python(*QUIET_ROOT, "-m", *celery, *worker),
            APPLICATION,
            shared | {"PLATFORM_PROCESS": "worker"},
            death_signal=signal.SIGQUIT,  # without us nobody waits for the task in hand
        ),
        # The empty pid file name: copies of one checkout would fight for the file, and a killed beat leaves it.
        Program(
            "beat",
            _python("-m", *celery, "beat", "--pidfile="),
            APPLICATION,
            shared | {"PLATFORM_PROCESS": "beat"},
        ),
        *scanner(plan, shared),
        Program(
            "feed",
            _python("manage.py", "run_feed"),
            APPLICATION,
            shared | {"PLATFORM_PROCESS": "feed"},
        ),
        *past(plan, shared),
    ]


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)


def servers(plan: Plan) -> Iterator[Program]:
    """The embedded servers that the configuration leaves to us."""
    if not plan.configuration.database_url:
        yield _server(embedded.postgres(plan.home), POSTGRES, {})
    if not plan.configuration.redis_url:
        yield _server(embedded.redis(plan.home), REDIS, plan.marks)


def _server(server: embedded.Server, stage: int, environ: dict[str, str]) -> Program:
    number = server.stop_signal
    return Program(
        server.name,
        server.argv,
        stage,
        environ,
        stop_signal=number,
        death_signal=number,
        identity=server.identity,
        prepare=server.prepare,
        ready=server.ready,
    )


def simulator(plan: Plan, environ: dict[str, str]) -> Iterator[Program]:
    port = plan.simulator_port
    if port is not None:
        argv = _python("-m", "simulator", "--host", "127.0.0.1", "--port", str(port))
        yield Program("simulator", argv, EXCHANGE, environ, ready=lambda: listens("127.0.0.1", port))


def chain(plan: Plan, environ: dict[str, str]) -> Iterator[Program]:
    """A chain of our own, and the crowd that trades on it."""
    port, program = plan.chain_port, anvil.anvil()
    if port is None or program is None:
        return
    state = plan.home / "chain.json"
    yield Program(
        "chain",
        anvil.command(program, port, state),
        EXCHANGE,
        environ,
        prepare=lambda: anvil.make_ready(state),
        ready=lambda: listens("127.0.0.1", port),
    )
    where = (plan.decided["WEB3_PROVIDERS"], plan.decided["BINANCE_SPOT_REST_URL"])
    yield Program("crowd", _python("-m", "collector.chains.crowd", *where), APPLICATION, environ)


def scanner(plan: Plan, environ: dict[str, str]) -> Iterator[Program]:
    """Reads orders from the chain, where one is configured."""
    if plan.chain_port is not None or plan.configuration.web3_providers:
        own = environ | {"PLATFORM_PROCESS": "scanner"}
        yield Program("scanner", _python("manage.py", "run_scanner"), APPLICATION, own)


def past(plan: Plan, environ: dict[str, str]) -> Iterator[Program]:
    """The history that a simulated market begins with, loaded beside everything else."""
    if plan.simulator_port is not None:
        own = environ | {"PLATFORM_PROCESS": "prepare"}
        yield Program("past", _python("manage.py", "load_past"), APPLICATION, own, once=True, beside=True)


# --- ports and leftovers -----------------------------------------------------------------------------------------


def listens(host: str, port: int) -> bool:
    """Whether something accepts connections there; an address that means all is asked by loopback."""
    with contextlib.suppress(OSError), socket.create_connection((_reachable(host), port), timeout=2):
        return True
    return False


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def free_port(ports: range = PRIVATE_PORTS) -> int:
    """A loopback port of these (at least 200) that nothing holds, where no outgoing connection will take it either."""
    for port in random.SystemRandom().sample(ports, 200):
        if port_trouble("127.0.0.1", port) is None:
            return port
    raise StartError(f"no free port from {ports.start} to {ports.stop - 1} on 127.0.0.1")


def port_trouble(host: str, port: int) -> str | None:
    """Why nobody can listen there: one line, or None where one can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0]  # noqa: S104
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"PORT {port} is held by another process: stop it or choose another PORT"
        return f"PORT {port} on HOST {host} cannot be used: {error.strerror}"
    return None


@contextlib.contextmanager
def no_remains(plan: Plan) -> Iterator[None]:
    """Inside, whatever ends this process, what the plan's programs have started ends within seconds, too."""
    argv = (sys.executable, "-I", "-S", aftermath.__file__, f"{RUN}={plan.marks[RUN]}")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True):
        yield  # the end closes its standard input and waits for it


# --- what the person at the terminal sees ------------------------------------------------------------------------


def is_healthy(configuration: env.Environment) -> bool:
    """Whether /api/health says so; asked under a name that the site answers to."""
    name = next((host.lstrip(".") for host in configuration.allowed_hosts if host != "*"), "localhost")
    # Not urllib: it would ask a proxy of the environment.
    connection = http.client.HTTPConnection(_reachable(configuration.host), configuration.port, timeout=3)
    try:
        connection.request("GET", "/api/health", headers={"Host": name})
        answer = connection.getresponse()
        return answer.status == 200 and json.loads(answer.read()).get("status") == "healthy"
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def announce(plan: Plan, login: str, log: Log) -> None:
    """Wait for the first healthy answer, then tell where everything is."""
    begun = time.monotonic()
    while not await asyncio.to_thread(is_healthy, plan.configuration):
        await asyncio.sleep(1)
    base = f"http://{_literal(_reachable(plan.configuration.host))}:{plan.configuration.port}"
    market = "SIMULATED MARKET" if plan.decided["SIMULATED_MARKET"] == "1" else "Binance"
    for line in (
        f"ready, {time.monotonic() - begun:.0f} s after the last process started: {market}",
        f"  pages     {base}/",
        f"  API       {base}/api/v1/docs",
        f"  admin     {base}/admin/  {login}",
    ):
        log.line("platform", line)


def administrator(data_dir: Path, given: dict[str, str]) -> tuple[str, str]:
    """The admin's first password and the words that tell the login; the password itself only when it is new."""
    user = given.get("ADMIN_USER", "admin")
    if given.get("ADMIN_PASSWORD"):
        return given["ADMIN_PASSWORD"], f"{user}, password as in ADMIN_PASSWORD"
    path = data_dir / "admin_password"
    is_new = embedded.keep_secret(path, 12)
    password = embedded.read_admin_password(data_dir)
    return password, f"{user}, password {password} (told once; kept in {path})" if is_new else f"{user}, see {path}"


# --- the command -------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 after a clean stop, 1 when a program does not start, 2 when the configuration cannot be used."""
    parser = argparse.ArgumentParser(prog="tradingplatform.supervisor", description="Runs the whole platform.")
    parser.add_argument("mode", choices=("demo", "run"), help="a simulated exchange, or the one that is configured")
    mode = parser.parse_args(arguments).mode
    try:
        with embedded.hold(env.data_dir(env.gather(os.environ))) as lock:
            return _run(mode, Path(lock.name).parent)
    except (env.ConfigurationError, embedded.EmbeddedError) as error:
        sys.stderr.write(f"configuration: {error}\n")
        return 2
    except StartError as error:
        sys.stderr.write(f"not started: {error}\n")
        return 1


def _run(mode: str, data_dir: Path) -> int:
    """One run on a DATA_DIR that is ours."""
    (data_dir / "environment").unlink(missing_ok=True)  # of a run that was killed
    environ = {**os.environ, "SIMULATED_MARKET": "1"} if mode == "demo" else dict(os.environ)
    configuration, given = env.load(environ), env.gather(environ)
    aftermath.end(os.fsencode(f"{MARK}={data_dir}"))  # of a run that was killed a moment ago
    trouble = port_trouble(configuration.host, configuration.port)
    if trouble:
        raise env.ConfigurationError(trouble)
    embedded.keep_secret(data_dir / "secret_key", 48)
    password, login = administrator(data_dir, given)
    plan = decide(mode, configuration, given, password)
    started = programs(plan)
    log = Log([program.name for program in started])
    embedded.write_private(
        data_dir / "environment", "".join(f"{name}={value}\n" for name, value in plan.decided.items())
    )
    try:
        with no_remains(plan):
            asyncio.run(Supervisor(started, log, lambda: announce(plan, login, log)).run())
    finally:
        (data_dir / "environment").unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
