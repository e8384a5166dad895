"""The search in every page's header, in a real browser."""

import re

import pytest

from tests.pages.conftest import query

pytestmark = pytest.mark.browser


def test_search_finds_chooses_and_remembers(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    page.keyboard.press("/")
    page.wait_for_selector("[role=option]")
    assert page.locator("#symbol-search").evaluate("field => field === document.activeElement")
    page.keyboard.type("eth")
    page.wait_for_function("() => document.querySelectorAll('[role=option]').length === 1")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#symbol').textContent === 'ETHUSDT'")
    assert query(page)["symbol"] == "ETHUSDT"
    assert page.title().endswith("ETHUSDT SPOT · Trading Platform")
    page.keyboard.press("/")
    page.wait_for_selector("[role=option]")
    options = page.locator("[role=option]").evaluate_all("all => all.map(option => option.dataset.symbol)")
    assert options[:2] == ["ETHUSDT", "BTCUSDT"]
    # A symbol of the other market takes its market along.
    page.keyboard.type("pepe")
    page.wait_for_function("() => document.querySelectorAll('[role=option]').length === 1")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#market').textContent === 'FUTURES'")
    assert re.fullmatch(r"0\.\d{7}", page.locator("#mid").text_content())
    page.keyboard.press("/")
    page.keyboard.type("nothinglikethis")
    page.wait_for_selector(".search-results .note")
    page.keyboard.press("Escape")
    assert page.locator("#search-results").is_hidden()


def test_search_with_html_in_it_is_text(open_page):
    page, _ = open_page("/charts/?symbol=BTCUSDT")
    page.keyboard.press("/")
    page.keyboard.type("<img src=x>")
    page.wait_for_selector(".search-results .note")
    assert page.locator(".search-results img").count() == 0
