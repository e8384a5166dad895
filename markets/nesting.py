"""Before JSON of strangers is decoded: how deep it is nested. Decoders go down the machine's stack with it, and their
own bound is Python's recursion limit, which some libraries raise beyond what a stack holds."""

MOST_NESTED = 100
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))


def too_deep(text: bytes) -> bool:
    """Whether brackets are nested deeper than MOST_NESTED; those inside of strings count too."""
    depth = 0
    for bracket in text.translate(None, _OTHERS):
        if bracket in b"[{":
            depth += 1
            if depth > MOST_NESTED:
                return True
        else:
            depth -= 1
    return False
