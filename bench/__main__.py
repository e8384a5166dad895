"""Runs the measurements and prints their tables: `python -m bench [name ...]`; without names, all of them.

A measurement is a module of this folder with `main() -> None`. Those that need a database get an embedded one of their
own, which ends with the run. This project and its peers run side by side; trust the ratios, not the times."""

import importlib
import pkgutil
import sys

import bench


def names() -> list[str]:
    found = {module.name for module in pkgutil.iter_modules(bench.__path__)}
    parts = {"books_peers", "chain", "database", "indicators_peer", "socket_peer", "tables", "trades_peer", "walks"}
    return sorted(found - parts - {"__main__"})


def main(chosen: list[str]) -> int:
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        print(f"no such measurement: {', '.join(unknown)}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    for name in chosen or names():
        module = importlib.import_module(f"bench.{name}")
        print(f"\n== {name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        module.main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
