"""What every test of the Django parts shares: a provisioned database, and an empty Redis where one is asked for."""

import pytest
from hypothesis import settings as hypothesis_settings

STORAGE = []
LONG = ("tests/platform/", "tests/collector/", "tests/dex/", "tests/pages/", "tests/sockets/")
# How long an example takes is for bench/: a test says what is right, on however slow a machine.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """The test database as a deployment has it: hypertables where the server offers TimescaleDB."""
    from tradingplatform.timescale import provision

    with django_db_blocker.unblock():
        STORAGE.append(provision())


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # a process that runs a share of the tests
        session.config.workeroutput["storage"] = STORAGE


def pytest_collection_modifyitems(items):
    """Whole platforms, browsers and feeds first: a few long files at the end would keep one half of the run waiting."""
    items.sort(key=lambda item: next((n for n, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG)))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    STORAGE.extend(set(getattr(node, "workeroutput", {}).get("storage", ())) - set(STORAGE))


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"storage: {', '.join(STORAGE) or 'not used'}")


@pytest.fixture
def empty_redis():
    """The broker's Redis with nothing in it."""
    from markets.connections import broker_redis

    broker_redis().flushdb()
    return broker_redis()


@pytest.fixture
def own_spool(tmp_path, settings):
    """A spool of the test's own, and a breaker that has seen no failure; gives the folder."""
    from depth import intake

    settings.SPOOL_DIR = tmp_path / "spool"
    intake.spool.cache_clear()
    intake.breaker.worked()
    yield settings.SPOOL_DIR
    intake.spool.cache_clear()
    intake.breaker.worked()
