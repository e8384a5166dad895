"""Numbers as pages show them, the same as static/js/format.js shows them. Pure."""

from decimal import Decimal

SUFFIXES = ("", "K", "M", "B", "T")
MARKS = {"exact": "", "least": ">= ", "most": "<= ", "unknown": "~ "}


def decimals_of(step: Decimal) -> int:
    """How many decimals a price (or quantity) of this step has: 2 for 0.01, 0 for 1 and 10."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def fixed(value: float, decimals: int) -> str:
    """`value` with thousands separated: 64,812.30."""
    return f"{value:,.{decimals}f}"


def compact(value: float) -> str:
    """Four significant digits and K, M, B or T: 12.34M. Below 1: four decimals, below 0.01 eight."""
    size, sign = abs(value), "-" if value < 0 else ""
    if size < 1:
        return "0" if size == 0 else f"{sign}{size:.{4 if size >= 0.01 else 8}f}"
    scale = 0
    while size >= 999.95 and scale < len(SUFFIXES) - 1:
        size, scale = size / 1000, scale + 1
    decimals = 3 if size < 9.9995 else 2 if size < 99.995 else 1
    return f"{sign}{size:.{decimals}f}{SUFFIXES[scale]}"


def quantity(value: float, decimals: int) -> str:
    """An amount by its step while it is short, else compact."""
    return fixed(value, min(decimals, 6)) if abs(value) < 10_000 else compact(value)


def percent(value: float | None, decimals: int = 2) -> str:
    """`value` % with its sign; an en dash where there is none."""
    return "–" if value is None else f"{value:+.{decimals}f}"


def side_mark(complete: bool) -> str:
    return MARKS["exact" if complete else "least"]


def diff_quality(bid_complete: bool, ask_complete: bool) -> str:
    """How far a DIFF can be believed: exact, a lower bound (least), an upper bound (most) or unknown."""
    if bid_complete:
        return "exact" if ask_complete else "most"
    return "least" if ask_complete else "unknown"


def basis_points(bps: float) -> str:
    """A spread in basis points; the tightest are thousandths of one."""
    return f"{bps:.4f}" if bps < 0.1 else f"{bps:.2f}"
