"""Pages in one file that needs nothing else: no network, every text from data escaped, no script but ours."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .plot_style import svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Picture:
    """A figure for a page."""

    name: str
    caption: str
    source: str  # a data: address, so that nothing in it can reach the page


def picture(name: str, caption: str, figure: Figure) -> Picture:
    """The figure as SVG, its ink dark or light by the reader's colour scheme."""
    return Picture(name, caption, "data:image/svg+xml;base64," + base64.b64encode(svg(figure).encode()).decode())


def page(template: str, **context: Any) -> str:
    """A template of `templates/` as HTML, with the style and the sorting of tables that pages share."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    loader = FileSystemLoader(_TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script, css = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.js", "report.css"))
    return environment.get_template(template).render(
        script=Markup(script), script_hash=_hash(script), css=Markup(css), css_hash=_hash(css), **context
    )


def _hash(text: str) -> str:
    """Of an inline script or style, as the page's own content policy names it: the browser runs nothing else."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
