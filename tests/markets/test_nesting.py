"""JSON that is nested deeper than a stack holds is told before it is decoded."""

import sys

import pytest

from markets.nesting import MOST_NESTED, too_deep


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"a": [1, {"b": 2}]}', b"[" * MOST_NESTED + b"]" * MOST_NESTED, b"]" * 500]
)
def test_what_may_be_decoded(text):
    assert not too_deep(text)


@pytest.mark.parametrize("text", [b"[" * 101, b'{"a":' * 101, b"[" * 5_000_000, b'[{"a":' * 60])
def test_what_is_too_deep(text):
    assert too_deep(text)


def test_many_rows_side_by_side_are_flat():
    assert not too_deep(b"[" + b'{"a":[1]},' * 100_000 + b"{}]")


def test_a_body_is_refused_whatever_the_recursion_limit_is(client, db):
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)  # as a library does when it is imported
    try:
        answer = client.post("/api/v1/snapshots", b"[" * 1_000_000, content_type="application/json")
    finally:
        sys.setrecursionlimit(before)
    assert answer.status_code in {400, 401}
