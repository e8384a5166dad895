"""The analysts' page in a real browser: choosing, counting, downloading with a sign of progress."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import PATIENCE, PHONE, WIDE, grave

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE)
MAKE_ANALYST = (
    "from django.contrib.auth import get_user_model;"
    "get_user_model().objects.create_superuser('analyst', '', 'a-long-password')"
)


@pytest.fixture(scope="module")
def _analyst(web):
    web.run(MAKE_ANALYST)


def enter(open_page, next_page, **options):
    page, watch = open_page(f"/admin/login/?next={next_page}", ready=False, **options)
    page.fill("#id_username", "analyst")
    page.fill("#id_password", "a-long-password")
    page.click("input[type=submit]")
    return page, watch


def rows_of(page):
    return int(page.locator("#export-count").inner_text().split()[0].replace(",", ""))


@pytest.mark.usefixtures("_analyst")
def test_from_the_list_of_symbols_to_the_file(open_page, tmp_path):
    page, _ = enter(open_page, "/admin/markets/symbol/?q=BTCUSDT")
    page.check("#action-toggle")
    page.select_option("select[name=action]", "export")
    page.click("button[name=index]")
    expect(page.locator("#export-count")).to_contain_text("row")
    everything = rows_of(page)
    page.uncheck("input[name=market][value=FUTURES]")
    for box in page.locator("input[name=depth]:not([value='5'])").all():
        box.uncheck()
    expect(page.locator("#export-count")).not_to_have_text(f"{everything:,} rows")
    expected = rows_of(page)
    assert 0 < expected < everything
    with page.expect_download() as downloading:
        page.click("input[value=Download]")
    file = Path(tmp_path / "file.csv")
    downloading.value.save_as(file)
    rows = list(csv.DictReader(file.open()))
    assert len(rows) == expected
    assert {(row["symbol"], row["market"], row["depth"]) for row in rows} == {("BTCUSDT", "SPOT", "5")}
    expect(page.locator("#export-progress")).to_contain_text(f"{expected:,} rows, done")


@pytest.mark.usefixtures("_analyst")
@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_page_is_readable(open_page, theme, viewport):
    page, _ = enter(open_page, "/admin/export/", cookies={"theme": theme}, viewport=viewport)
    page.fill("#export-search", "btc")
    assert page.locator("#id_symbol option:not([hidden])").all_inner_texts() == ["BTCUSDT"]
    assert grave(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
