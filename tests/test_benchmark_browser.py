# ruff: noqa: F811
"""The report in a browser: it renders, sorts, fits, and runs nothing but its own script."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import browser, show_page  # noqa: F401
from made_up_runs import SCRIPT, failed_cell, few, hostile_run, made_up_cell, write_run

from agents import ope
from agents.benchmark.report import write_results
from agents.ope.comparing import Comparison
from agents.ope.report import report
from prompt_bandits import collect
from prompt_bandits.policies import Uniform
from prompt_bandits.synthetic import SyntheticConfig


def show(browser, folder: Path, width: int = 1280) -> None:
    show_page(browser, folder / "report.html", width)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    folder = hostile_run(tmp_path_factory.mktemp("hostile"))
    write_results(folder)
    return folder


def test_it_renders_without_an_error(browser, hostile) -> None:
    show(browser, hostile)
    assert browser.get_log("browser") == []
    assert browser.title == "Benchmark: data_size"
    sizes = browser.execute_script(
        "return [...document.images].map(i => [i.naturalWidth, i.clientWidth, i.clientHeight])"
    )
    assert len(sizes) == 2
    assert all(natural > 300 and wide > 300 and high > 200 for natural, wide, high in sizes)


def test_text_from_data_is_shown_and_not_run(browser, hostile) -> None:
    show(browser, hostile)
    assert browser.execute_script("return document.scripts.length") == 1
    assert browser.execute_script("return document.images.length") == 2
    shown = browser.execute_script("return document.body.innerText")
    assert shown.count(SCRIPT) > 5
    assert f"ValueError: {SCRIPT}" in shown
    assert browser.execute_script("return document.querySelectorAll('[onerror]').length") == 0


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_is_no_wider_than_its_window(browser, hostile, width) -> None:
    show(browser, hostile, width)
    for details in browser.find_elements("tag name", "details"):
        browser.execute_script("arguments[0].open = true", details)
    root = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth, window.innerWidth]"
    wide, visible, window = browser.execute_script(root)
    assert window == width
    assert wide <= visible


@pytest.fixture(scope="module")
def numbers(tmp_path_factory) -> Path:
    """Optimalities that sort otherwise as text, one of them with ±, one missing."""
    cells = [
        made_up_cell("data_size", n, 0, method, optimality=value)
        for n, method, value in [(500, "b", 0.5), (1000, "b", -0.2), (8000, "a", 10.0), (1000, "a", 9.0)]
    ]
    cells += [
        made_up_cell("data_size", 500, 1, "b", optimality=0.7),
        failed_cell("data_size", 500, 0, "a", "Error: no"),
    ]
    folder = write_run(tmp_path_factory.mktemp("numbers"), "data_size", cells)
    write_results(folder)
    return folder


def column(browser, index: int) -> list[str]:
    script = "return [...document.querySelectorAll('#results tbody tr')].map(row => row.cells[arguments[0]].innerText)"
    return browser.execute_script(script, index)


def click(browser, index: int) -> str:
    heading = browser.find_elements("css selector", "#results th")[index]
    heading.find_element("tag name", "button").click()
    others = browser.find_elements("css selector", "#results th[aria-sort]")
    assert others == [heading]
    return heading.get_attribute("aria-sort")


def test_a_click_on_a_heading_sorts_numbers_both_ways_with_missing_ones_last(browser, numbers) -> None:
    show(browser, numbers)
    assert click(browser, 3) == "ascending"
    assert column(browser, 3) == ["-0.200", "0.600 ± 0.100", "9.000", "10.000", "–"]
    assert click(browser, 3) == "descending"
    assert column(browser, 3) == ["10.000", "9.000", "0.600 ± 0.100", "-0.200", "–"]
    assert click(browser, 0) == "ascending"
    assert column(browser, 0) == ["500", "500", "1,000", "1,000", "8,000"]
    assert browser.get_log("browser") == []


def test_a_heading_over_text_sorts_it_as_text_and_keeps_the_order_of_equals(browser, numbers) -> None:
    show(browser, numbers)
    assert click(browser, 1) == "ascending"
    assert column(browser, 1) == ["a", "a", "a", "b", "b"]
    assert column(browser, 0) == ["500", "1,000", "8,000", "500", "1,000"]
    assert click(browser, 1) == "descending"
    assert column(browser, 1) == ["b", "b", "a", "a", "a"]


def test_it_follows_the_reader_s_colour_scheme(browser, tmp_path) -> None:
    write_results(write_run(tmp_path, "default", few("default")))
    background = "return getComputedStyle(document.body).backgroundColor"
    seen = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        show(browser, tmp_path)
        seen.append(browser.execute_script(background))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert seen == ["rgb(244, 245, 247)", "rgb(20, 22, 26)"]


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_on_a_policy_fits_its_window_and_shows_names_as_text(browser, tmp_path, width) -> None:
    simulator = SyntheticConfig(n_actions=3).build()
    data = collect(simulator, Uniform(), 200, seed=0, progress=False)
    found = ope.evaluate(Uniform(), data, [ope.SNIPS(), ope.IPS()], name=SCRIPT, progress=False)
    (tmp_path / "report.html").write_text(report(Comparison(found, "snips"), {"policy": SCRIPT}), encoding="utf-8")
    show(browser, tmp_path, width)
    assert browser.get_log("browser") == []
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    assert browser.find_element("css selector", "h1").text == f"Is {SCRIPT} better than the policy that logged?"
    assert browser.execute_script("return document.images[0].naturalWidth") > 300
    assert "There is nothing to tell" in browser.find_element("css selector", ".verdict.unknown").text
