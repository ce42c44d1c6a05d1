# ruff: noqa: F811
"""The documentation's site: it builds, its links lead somewhere, it fetches nothing, and what it says of code is so."""

from __future__ import annotations

import ast
import contextlib
import importlib
import re
from dataclasses import fields
from pathlib import Path
from urllib.parse import unquote, urlparse

import gymnasium as gym
import pytest
from built_site import ROOT, Site, site  # noqa: F401

from prompt_bandits.interface import INTERFACE_ARGUMENTS
from prompt_bandits.movie import MovieConfig
from prompt_bandits.registration import MOVIE_ID, SYNTHETIC_ID
from prompt_bandits.synthetic import SyntheticConfig

CARDS = {"synthetic": (SYNTHETIC_ID, SyntheticConfig), "movie": (MOVIE_ID, MovieConfig)}
INTERFACE = dict(zip(INTERFACE_ARGUMENTS, (False, "numeric", "index", None), strict=True))
PUBLIC = (
    *(f"prompt_bandits{name}" for name in ("", ".datasets", ".exchange", ".logs", ".movie", ".serving", ".synthetic")),
    *(f"agents.{name}" for name in ("benchmark", "integrations.stable_baselines3", "learners", "online", "ope")),
)


def test_no_link_or_anchor_is_broken(site: Site) -> None:
    broken = []
    for page in site:
        for link in page.links:
            url = urlparse(link)
            if url.scheme or url.netloc:
                continue
            target = (page.path.parent / unquote(url.path)).resolve() if url.path else page.path
            if target.is_dir():
                target = target / "index.html"
            anchor = unquote(url.fragment)
            if not target.is_file() or (anchor and target.suffix == ".html" and anchor not in site.pages[target].ids):
                broken.append(f"{page.path.relative_to(site.folder)}: {link}")
    assert broken == []


def test_pages_load_nothing_from_elsewhere(site: Site) -> None:
    outside = {(page.path.name, url) for page in site for url in page.loaded if urlparse(url).netloc}
    assert outside == set()
    for sheet in site.folder.rglob("*.css"):
        urls = re.findall(r"(?:@import\s+|url\()[\"']?((?:https?:)?//[^\"')]+)", sheet.read_text(encoding="utf-8"))
        assert urls == [], sheet
    for page in site:
        assert all((page.path.parent / unquote(urlparse(url).path)).is_file() for url in page.loaded if url), page.path


def test_equations_are_mathml_and_none_is_left_as_tex(site: Site) -> None:
    assert site["concepts.html"].text.count("<math") > 30
    assert all("arithmatex" not in page.text for page in site)


@pytest.fixture(scope="module")
def documented(site: Site) -> list[object]:
    """All that the reference has an entry for, but fields, which classes lack."""
    ids = set().union(*(page.ids for page in site if page.path.parent.name == "api"))
    found = []
    for name in ids:
        if name.startswith(("prompt_bandits", "agents")):
            with contextlib.suppress(AttributeError):
                found.append(resolved(name))
    return found


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(documented: list[object], module: str) -> None:
    names = {name: getattr(importlib.import_module(module), name) for name in importlib.import_module(module).__all__}
    documentable = {name: value for name, value in names.items() if callable(value)}
    assert [name for name, value in documentable.items() if not any(value is known for known in documented)] == []


def arguments(card: str) -> dict[str, object]:
    """The names and defaults of a card's table of arguments."""
    table = card.partition("## Arguments")[2].partition("\n## ")[0]
    found: dict[str, object] = {}
    for names, default in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| `([^`]+)` \|", table, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            assert name not in found, name
            found[name] = ast.literal_eval(default)
    return found


@pytest.mark.parametrize("name", CARDS)
def test_a_cards_arguments_are_those_of_the_environment(name: str) -> None:
    _, config = CARDS[name]
    real = {field.name: field.default for field in fields(config)}
    assert arguments((ROOT / f"docs/cards/{name}.md").read_text()) == real | INTERFACE


@pytest.mark.parametrize("name", CARDS)
def test_a_cards_spaces_and_infos_are_those_of_the_environment(name: str) -> None:
    card = (ROOT / f"docs/cards/{name}.md").read_text()
    env = gym.make(CARDS[name][0])
    assert f"`{env.action_space}`" in card
    assert f"`{str(env.observation_space).replace(chr(39), '')}`" in card
    _, info = env.reset(seed=0)
    table = card.partition("## Information")[2].partition("\n## ")[0]
    told = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", table, re.MULTILINE)
    at_reset = {key for keys, when in told if when in ("`reset`, `step`",) for key in re.findall(r"`(\w+)`", keys)}
    always = {key for keys, when in told if "with" not in when for key in re.findall(r"`(\w+)`", keys)}
    assert at_reset == set(info)
    assert always == set(env.step(0)[4])


def resolved(name: str) -> object:
    """What a dotted name names."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for part in parts[n:]:
            found = getattr(found, part)
        return found
    raise LookupError(name)


PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_every_name_of_ours_on_a_page_is_there(page: Path) -> None:
    names = set(
        re.findall(
            r"(?:`|^::: )((?:prompt_bandits|agents)(?:\.[A-Za-z_]\w*)+)(?:`|\(|$)", page.read_text(), re.MULTILINE
        )
    )
    for name in sorted(names - {"prompt_bandits.saved"}):  # a group of entry points
        resolved(name)


def test_the_page_for_those_who_come_from_offline_prompts_names_a_place_for_all(site: Site) -> None:
    page = (ROOT / "docs/parity.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", page.partition("## Feature by feature")[0], re.MULTILINE)
    assert len(rows) > 70
    for theirs, ours in rows:
        if theirs not in ("---", "method") and not theirs.startswith(("OfflinePrompts", "`off_prompts")):
            assert re.search(r"`(?:prompt_bandits|agents)\.|`prompt-bandits |with `|`action_dist`", ours), theirs
