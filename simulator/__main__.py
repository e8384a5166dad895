"""Starts the simulated exchange: `python -m simulator --port 9000`."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from simulator.app import EXCHANGE, create_app
from simulator.exchange import Config
from simulator.replay import InvalidRecording


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m simulator", description="An exchange that speaks Binance's protocol."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--futures-port", type=int, help="one more, where /ws and /stream are futures' old addresses")
    parser.add_argument("--port-file", type=Path, help="file that receives the port once it answers")
    parser.add_argument("--seed", type=int, default=7, help="another seed is another market")
    parser.add_argument("--symbols", type=int, default=125, help="coins that trade against USDT on spot")
    parser.add_argument("--weights", choices=("real", "off"), default="real", help="off: nobody is ever refused")
    parser.add_argument(
        "--replay", type=Path, action="append", default=[], metavar="FILE", help="serve a recorded book"
    )
    parser.add_argument("--replay-market", choices=("spot", "futures"), help="else the recording's content tells")
    parser.add_argument("--replay-snapshot", type=int, default=1, metavar="N", help="which snapshot of a CSV")
    parser.add_argument("--replay-speed", type=float, default=1.0, help="0 holds the snapshot")
    parser.add_argument(
        "--replay-start", choices=("now", "subscriber"), default="now", help="subscriber: when the first one listens"
    )
    parser.add_argument(
        "--replay-times", choices=("now", "recorded"), default="now", help="event times that messages carry"
    )
    return parser.parse_args(argv)


def _config(arguments: argparse.Namespace) -> Config:
    return Config(
        seed=arguments.seed, symbols=arguments.symbols, weights=arguments.weights == "real",
        replay=tuple(arguments.replay), replay_market=arguments.replay_market,
        replay_snapshot=arguments.replay_snapshot, replay_speed=arguments.replay_speed,
        replay_waits=arguments.replay_start == "subscriber", replay_recorded_times=arguments.replay_times == "recorded",
    )  # fmt: skip


def _write_port(path: Path, port: int) -> None:
    """Whole or not at all: a reader never sees half a number."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(f"{port}\n")
    partial.replace(path)


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = create_app(_config(arguments))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, arguments.host, arguments.port).start()
        port = runner.addresses[0][1]
        print(f"simulator listens on http://{arguments.host}:{port}", flush=True)
        if arguments.futures_port is not None:
            await web.TCPSite(runner, arguments.host, arguments.futures_port).start()
            app[EXCHANGE].futures_port = runner.addresses[1][1]
            print(f"futures' old addresses at http://{arguments.host}:{runner.addresses[1][1]}", flush=True)
        if arguments.port_file:
            _write_port(arguments.port_file, port)
        await stop.wait()
    finally:
        await runner.cleanup()


def main(argv: list[str]) -> int:
    arguments = _arguments(argv)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_serve(arguments))
    except (InvalidRecording, OSError) as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
