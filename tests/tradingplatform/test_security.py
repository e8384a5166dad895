"""What browsers are allowed, and how static files come."""

import asyncio
import json
import warnings

import pytest
from django.core.management import call_command
from django.test import AsyncRequestFactory
from django.test.utils import override_settings

from tradingplatform.security import DOCS_POLICY, STRICT_POLICY
from tradingplatform.staticfiles import HashedStaticFilesStorage, StaticFilesMiddleware


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/admin/login/", "/nothing-here", "/api/v1/nothing", "/api/v1/symbols"])
def test_every_answer_has_the_strict_policy(client, address):
    assert client.get(address)["Content-Security-Policy"] == STRICT_POLICY


@pytest.mark.django_db
def test_the_docs_may_have_a_style_but_no_script(client):
    answer = client.get("/api/v1/docs")
    assert answer["Content-Security-Policy"] == DOCS_POLICY
    assert "script-src" not in DOCS_POLICY  # so scripts fall back to 'self'
    assert client.get("/api/v1/docsx")["Content-Security-Policy"] == STRICT_POLICY


@pytest.fixture(scope="module")
def static_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("static")
    with override_settings(STATIC_ROOT=str(root)):
        call_command("collectstatic", interactive=False, verbosity=0)
    return root


def test_names_carry_the_content_also_inside_modules(static_root):
    with override_settings(STATIC_ROOT=str(static_root)):
        storage = HashedStaticFilesStorage(location=str(static_root), base_url="/static/")
        address = storage.url("js/charts.js")
    name = address.removeprefix("/static/")
    assert name != "js/charts.js"
    text = (static_root / name).read_text()
    hashed = json.loads((static_root / "staticfiles.json").read_text())["paths"]
    for module in ("chart", "format", "frame", "liquidity", "panels", "poll"):
        assert hashed[f"js/{module}.js"].removeprefix("js/") in text
        assert f'"./{module}.js"' not in text


def test_before_files_are_collected_names_stay_plain(tmp_path):
    storage = HashedStaticFilesStorage(location=str(tmp_path), base_url="/static/")
    assert storage.url("js/charts.js") == "/static/js/charts.js"


def test_files_come_whole_and_without_a_warning_under_asgi(static_root):
    from django.core.handlers.asgi import ASGIHandler

    class Handler(ASGIHandler):
        def load_middleware(self, is_async=False):
            with override_settings(MIDDLEWARE=["tradingplatform.staticfiles.StaticFilesMiddleware"]):
                super().load_middleware(is_async=is_async)

    async def ask(scope):
        sent = []

        async def receive():
            await asyncio.sleep(3600)

        async def send(message):
            sent.append(message)

        first = {"type": "http.request", "body": b"", "more_body": False}
        messages = iter([first])

        async def once():
            return next(messages, None) or await receive()

        await Handler()(scope, once, send)
        return sent

    name = json.loads((static_root / "staticfiles.json").read_text())["paths"]["js/format.js"]
    scope = AsyncRequestFactory().get(f"/static/{name}").scope
    with override_settings(STATIC_ROOT=str(static_root)), warnings.catch_warnings():
        warnings.simplefilter("error")
        sent = asyncio.run(ask(scope))
    assert sent[0]["status"] == 200
    headers = dict(sent[0]["headers"])
    assert b"immutable" in headers[b"Cache-Control"]
    assert b"javascript" in headers[b"Content-Type"]
    assert b"".join(part["body"] for part in sent[1:]) == (static_root / name).read_bytes()


def test_unchanged_files_are_not_sent_again(static_root, rf):
    with override_settings(STATIC_ROOT=str(static_root)):
        middleware = StaticFilesMiddleware(lambda request: None)
        first = middleware(rf.get("/static/css/frame.css"))
        again = middleware(rf.get("/static/css/frame.css", HTTP_IF_MODIFIED_SINCE=first["Last-Modified"]))
    assert (first.status_code, again.status_code) == (200, 304)
    assert again.content == b""
