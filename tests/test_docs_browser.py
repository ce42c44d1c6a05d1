# ruff: noqa: F811
"""The documentation's site in a browser, opened from disk as a reader without a network would."""

from __future__ import annotations

import pytest
from browsing import browser, show_page  # noqa: F401
from built_site import Site, site  # noqa: F401

WIDTHS = "return [document.documentElement.scrollWidth, document.body.scrollWidth]"


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_window_or_says_an_error(browser, site: Site, width: int) -> None:
    wrong = []
    for page in sorted(site.pages):
        show_page(browser, page, width)
        widest, said = max(browser.execute_script(WIDTHS)), browser.get_log("browser")
        if widest > width or said:
            wrong.append((page.name, widest, said))
    assert wrong == []


@pytest.mark.slow
def test_search_works_from_disk(browser, site: Site) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    show_page(browser, site.folder / "index.html")
    browser.find_element(By.CSS_SELECTOR, "input.md-search__input").send_keys("propensities estimated")
    found = WebDriverWait(browser, 20).until(
        lambda opened: opened.find_elements(By.CSS_SELECTOR, ".md-search-result__item a[href]")
    )
    assert all(link.get_attribute("href").startswith(site.folder.as_uri()) for link in found)
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_equations_are_drawn(browser, site: Site) -> None:
    show_page(browser, site.folder / "concepts.html")
    heights = browser.execute_script(
        "return [...document.querySelectorAll('math')].map(m => m.clientHeight || m.getBoundingClientRect().height)"
    )
    assert len(heights) > 30
    assert min(heights) > 5
