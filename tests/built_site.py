"""The documentation, built, and what its pages refer to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_LOADED = {
    ("link", "href"),
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("object", "data"),
}
_NOT_LOADED = {"canonical", "prev", "next", "alternate"}


@dataclass
class Page(HTMLParser):
    """One page: its ids, where its links go, and what it makes a browser load."""

    path: Path
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if not _NOT_LOADED & set(given.get("rel", "").split()):
            self.loaded += [value for name, value in given.items() if (tag, name) in _LOADED]


class Site:
    """All pages but the server's 404."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages = {path: Page(path) for path in folder.rglob("*.html") if path.name != "404.html"}

    def __getitem__(self, name: str) -> Page:
        return self.pages[self.folder / name]

    def __iter__(self) -> Iterator[Page]:
        return iter(self.pages.values())


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Site:
    """As `mkdocs build --strict` writes it; a warning is an error."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},  # the theme's notice of its end of life
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return Site(folder)
