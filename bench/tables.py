"""Prints a table of measurements."""

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter


def show(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows under a head, columns aligned; numbers to the right."""
    texts = [[f"{cell:,.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for number, row in enumerate(texts):
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join([first.strip().ljust(widths[0]), *others]))
        if number == 0:
            print("  ".join("-" * width for width in widths))


def seconds(work: Callable[[], object], rounds: int) -> list[float]:
    """Wall time of each of `rounds` runs, after one that does not count."""
    work()
    taken = []
    for _ in range(rounds):
        start = perf_counter()
        work()
        taken.append(perf_counter() - start)
    return taken


def interleaved(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each work, run in turn so that a drifting machine harms all alike."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            start = perf_counter()
            work()
            taken[name].append(perf_counter() - start)
    return {name: median(values) for name, values in taken.items()}
