"""Film titles as MovieLens writes them, and as people say them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_YEAR = re.compile(r"\s*\((\d{4})(?:\s*[-–]\s*(?:\d{4})?)?\)\s*$")
_OTHER_TITLE = re.compile(r"\s*\([^()]*\)$")
_UNFINISHED = re.compile(r"(\b(or|and|of)|[:&,-])$", re.IGNORECASE)  # "Birdman: Or (…)" is no other title
_ARTICLES = (
    "The|A|An|Le|La|Les|Un|Une|Des|El|Los|Las|Una|Il|Lo|Gli|I|Der|Die|Das|Den|Det|Ein|Eine|De|Het|Een|O|Os|As|Al|En|Et"
)
_ARTICLE_LAST = re.compile(rf"^(?P<name>.+), (?:(?P<word>{_ARTICLES})|(?P<elided>[LlDd]'))$")


def split_title(raw: str) -> tuple[str, int]:
    """A title and its year, 0 where there is none: "Matrix, The (1999)" is "The Matrix" of 1999.

    Other titles in parentheses at the end are dropped: "Seven (a.k.a. Se7en) (1995)" is "Seven".
    """
    title, year = raw.strip(), 0
    match = _YEAR.search(title)
    if match:
        title, year = title[: match.start()], int(match[1])
    while shorter := _without_other_title(title):
        title = shorter
    return _article_first(title) or raw.strip(), year


def distinct_titles(titles: Sequence[str], years: Sequence[int]) -> list[str]:
    """The titles, with the year behind those that films of several years share."""
    count = Counter(titles)
    return [f"{t} ({y})" if count[t] > 1 and y else t for t, y in zip(titles, years, strict=True)]


def _without_other_title(title: str) -> str:
    match = _OTHER_TITLE.search(title)
    head = title[: match.start()].rstrip() if match else ""
    return "" if _UNFINISHED.search(head) else head


def _article_first(title: str) -> str:
    match = _ARTICLE_LAST.match(title)
    if match is None:
        return title.strip()
    return f"{match['word']} {match['name']}" if match["word"] else f"{match['elided']}{match['name']}"
