"""Before the web process listens: what its first request would otherwise wait for is loaded.

Views with all that they import, compiled templates, and a connection to the database, which is asked for beside the
start: it may be away."""

import gc
import logging
from pathlib import Path
from threading import Thread

from django.conf import settings
from django.db import connection
from django.template import engines
from django.template.loader import get_template
from django.urls import NoReverseMatch, get_resolver, reverse

from markets.storage import DATABASE_AWAY

logger = logging.getLogger(__name__)


def warm() -> Thread:
    """Loads everything; whatever fails is left to the request that needs it. Gives the thread that connects."""
    thread = Thread(target=_connect, name="first connection", daemon=True)
    thread.start()
    try:
        _resolve()
        for name in template_names():
            get_template(name)
        engines["django"].engine.template_context_processors  # noqa: B018 - imports them
    except Exception:  # a page that is broken is no reason to serve none
        logger.exception("not everything could be loaded beforehand")
    gc.collect()
    gc.freeze()  # all this stays: collections need not look at it again (an eighth of a large answer's time)
    return thread


def template_names() -> list[str]:
    """Every page and part of one below templates/."""
    folders = [Path(folder) for engine in settings.TEMPLATES for folder in engine.get("DIRS", [])]
    return sorted(str(path.relative_to(folder)) for folder in folders for path in folder.rglob("*.html"))


def _resolve() -> None:
    """Imports every view, and learns addresses by their names."""
    get_resolver().url_patterns  # noqa: B018 - imports them
    try:
        reverse("an address that there is not")
    except NoReverseMatch:
        return


def _connect() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DATABASE_AWAY as error:
        logger.info("no connection to the database yet: %s", error)
    finally:
        connection.close()  # back into its pool
