"""Long answers part by part: what is read from the database waits for the reader, never in memory."""

from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse

from depth.export import Selection


def streamed(request: HttpRequest, parts: Iterator[bytes], media_type: str, name: str) -> StreamingHttpResponse:
    """An answer of these parts, to be kept as a file called `name`.

    The first part is made at once, so that what goes wrong there is still an answer of its own. Each later part is made
    when the one before it was taken; when the reader goes away, no further part is made."""
    whole = chain([next(parts, b"")], parts)
    body: Any = _asynchronous(whole) if isinstance(request, ASGIRequest) else whole
    safe = name.encode("ascii", "replace").decode().replace("?", "_")
    headers = {
        "Content-Disposition": f'attachment; filename="{safe}"',
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",  # a proxy would gather the whole file first
    }
    return StreamingHttpResponse(body, content_type=media_type, headers=headers)


async def _asynchronous(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    step = sync_to_async(_step)
    while (part := await step(parts)) is not None:
        yield part


def _step(parts: Iterator[bytes]) -> bytes | None:
    """The next part; in between, the connection is back in its pool, however long the reader takes."""
    try:
        return next(parts, None)
    finally:
        if not connection.in_atomic_block:
            connection.close()


def file_name(selection: Selection, extension: str) -> str:
    """BTCUSDT-SPOT-depth-1m.csv; several books are counted instead of named."""
    named = "-".join(selection.books[0]) if len(selection.books) == 1 else f"{len(selection.books)}-books"
    return f"{named}-depth-{selection.interval}.{extension}"
