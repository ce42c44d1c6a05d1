"""What MkDocs does besides: equations become MathML, long names in tables may break at their dots, and the assets'
card, which is made with the assets, becomes a page.
"""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

_ASSETS = Path(__file__).parents[1] / "prompt_bandits/movie/assets"
_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
_RELATION = re.compile(r"<mi>(&#x0(?:223C|21[9A-F].|27F.);)</mi>")  # ∼ and arrows
_CELL = re.compile(r"<td.*?</td>", re.DOTALL)
_NAME = re.compile(r"(?<=<code>)[\w.]+(?=</code>)")
_BREAK = re.compile(r"(?<=\w)(?=\.\w)|(?<=[a-z]_)(?=[a-z])|(?<=[a-z])(?=[A-Z])")


def on_files(files: Files, config: Any) -> Files:
    """MkDocs' event: adds the assets' card and its pictures."""
    files.append(File.generated(config, "cards/movie_assets.md", abs_src_path=str(_ASSETS / "card.md")))
    for picture in sorted((_ASSETS / "card").glob("*.png")):
        files.append(File.generated(config, f"cards/card/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """MkDocs' event: the page's HTML, before its template. Equations need neither script nor font then."""
    html = _DISPLAY.sub(lambda found: f'<div class="equation">{_mathml(found[1], "block")}</div>', html)
    html = _INLINE.sub(lambda found: _mathml(found[1], "inline"), html)
    return _CELL.sub(lambda cell: _NAME.sub(lambda name: _BREAK.sub("<wbr>", name[0]), cell[0]), html)


def _mathml(latex: str, display: str) -> str:
    made = convert(unescape(latex).strip(), display=display)
    return _RELATION.sub(r"<mo>\1</mo>", made.replace("&#x0007E;", "&#x0223C;"))  # with the space of relations
