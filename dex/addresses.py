"""On an address's way in, from people and from logs: its one spelling (EIP-55). Pure.

Stands apart from the decoder, because whoever only shows orders need not load the chain's libraries (half a second)."""

import re
from functools import lru_cache

from eth_hash.auto import keccak

_DIGITS = re.compile(r"[0-9a-f]{40}", re.ASCII)


def read_address(text: str) -> str:
    """EIP-55 of an address as people write it: in one case, or in the right mixed case. Raises ValueError."""
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text, re.ASCII):
        raise ValueError("must be an address of 0x and 40 hexadecimal digits")
    digits = text[2:]
    checked = checksummed(digits)
    if digits not in {digits.lower(), digits.upper()} and text != checked:
        raise ValueError("has a capital or a small letter where its checksum has none; a digit may be wrong")
    return checked


def read_pair(text: str) -> tuple[str, str]:
    """Two addresses with a stroke between them. Raises ValueError."""
    one, stroke, other = text.partition("/")
    if not stroke:
        raise ValueError("must be two addresses with / between them")
    return read_address(one), read_address(other)


@lru_cache(maxsize=200_000)
def checksummed(digits: str) -> str:
    """EIP-55 of forty hexadecimal digits in any case. Raises ValueError."""
    small = digits.lower()
    if not _DIGITS.fullmatch(small):
        raise ValueError(f"{digits} are not forty hexadecimal digits")
    marks = keccak(small.encode()).hex()
    return "0x" + "".join(letter.upper() if mark >= "8" else letter for letter, mark in zip(small, marks, strict=False))
