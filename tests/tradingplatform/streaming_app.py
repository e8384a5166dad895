"""A bare ASGI application for the tests of the web server: long answers, broken ones, and what became of them."""

import asyncio

PART = b"x" * 65536

sent = {"parts": 0, "ended": 0}


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/sent":
        body = f"{sent['parts']} {sent['ended']}".encode()
        await send({"type": "http.response.body", "body": body})
    elif scope["path"] == "/broken":
        await send({"type": "http.response.body", "body": PART, "more_body": True})
        raise ValueError("broken on purpose")
    else:
        parts = int(scope["path"].strip("/"))
        tasks = [asyncio.create_task(stream(send, parts)), asyncio.create_task(leaving(receive))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


async def leaving(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


async def stream(send, parts):
    try:
        for _ in range(parts):
            await send({"type": "http.response.body", "body": PART, "more_body": True})
            sent["parts"] += 1
        await send({"type": "http.response.body", "body": b""})
    finally:
        sent["ended"] += 1
