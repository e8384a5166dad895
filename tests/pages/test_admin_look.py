"""The admin and the API's page in a real browser: clean consoles, nothing that axe calls serious."""

import pytest

from tests.pages.conftest import grave

pytestmark = pytest.mark.browser
PAGES = (
    "/admin/",
    "/admin/markets/symbol/",
    "/admin/collector/runstate/",
    "/admin/collector/runstate/events/",
    "/admin/collector/runstate/storage/",
    "/admin/collector/runstate/metrics/",
    "/admin/api/apikey/add/",
)
MAKE_ADMIN = (
    "from django.contrib.auth import get_user_model;"
    "get_user_model().objects.create_superuser('root', '', 'a-long-password')"
)


@pytest.fixture(scope="module")
def administrator(web):
    web.run(MAKE_ADMIN)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_admin_is_clean_and_readable(open_page, administrator, theme):
    page, _ = open_page("/admin/login/?next=/admin/", cookies={"theme": theme}, ready=False)
    page.fill("#id_username", "root")
    page.fill("#id_password", "a-long-password")
    page.click("input[type=submit]")
    found = {}
    for address in PAGES:
        page.goto(address)
        assert page.locator("html").get_attribute("data-theme") == theme
        assert page.locator(".simulated").is_visible()
        found[address] = grave(page)
    assert found == {address: [] for address in PAGES}
    page.click(".theme-switch")
    page.goto("/charts/")
    assert page.locator("html").get_attribute("data-theme") != theme


def test_the_apis_page_runs_under_its_policy(open_page):
    page, _ = open_page("/api/v1/docs", ready=False)
    page.wait_for_selector(".opblock")
    assert page.locator(".opblock").count() > 8


def test_numbers_are_written_alike_by_script_and_server(open_page):
    """static/js/format.js and depth/formats.py on the same numbers."""
    from depth import formats

    values = [
        0,
        0.004,
        0.5,
        1,
        9.9994,
        9.9996,
        99.994,
        99.996,
        999.94,
        999.96,
        1234.5,
        -56789,
        1e6,
        123456789,
        9.9e12,
        3e16,
    ]
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    script = """async (values) => {
        const addresses = [...document.querySelectorAll("link[rel=modulepreload]")].map((link) => link.href);
        const address = addresses.find((href) => /format\\./.test(href));
        const { compact, fixed, percent, quantity } = await import(address);
        return values.map((value) => [compact(value), fixed(value, 2), percent(value, 1), quantity(value, 3)]);
    }"""
    expected = [
        [formats.compact(v), formats.fixed(v, 2), formats.percent(v, 1), formats.quantity(v, 3)] for v in values
    ]
    assert page.evaluate(script, values) == expected
