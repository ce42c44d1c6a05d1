"""What MkDocs does besides: equations become MathML, and the assets' card, which is made with the assets, a page."""

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


def on_files(files: Files, config: Any) -> Files:
    """MkDocs' event: adds the assets' card and its pictures."""
    files.append(File.generated(config, "cards/movie_assets.md", abs_src_path=str(_ASSETS / "card.md")))
    for picture in sorted((_ASSETS / "card").glob("*.png")):
        files.append(File.generated(config, f"cards/card/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """MkDocs' event: the page's HTML, before its template. Equations need neither script nor font then."""
    html = _DISPLAY.sub(lambda found: f'<div class="equation">{_mathml(found[1], "block")}</div>', html)
    return _INLINE.sub(lambda found: _mathml(found[1], "inline"), html)


def _mathml(latex: str, display: str) -> str:
    return convert(unescape(latex).strip(), display=display)
