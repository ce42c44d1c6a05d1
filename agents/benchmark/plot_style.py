"""How the benchmark's figures look: a colour and a mark a method, the same in every run, told apart by colour-blind
readers too (after Okabe and Ito, 2008), on white and on black."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ..plotting import pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1f2329"  # text and axes; SVG images show it as the reader's scheme asks
GREY = "#868c95"
DARK = "#5f6670"  # for areas, where ink would be too heavy
PALETTE = ("#d55e00", "#0072b2", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#8f8f3c", "#9a60b4")
_SVG_STYLE = f"<style>svg{{color:{INK}}}@media(prefers-color-scheme:dark){{svg{{color:#e6e8eb}}}}</style>"
_RC: dict[Any, Any] = {
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "path",
    "svg.hashsalt": "prompt_bandits",  # the same figure gives the same bytes
}


@dataclass(frozen=True)
class Look:
    """Of a line and its marks."""

    colour: str
    marker: str

    def line(self) -> dict[str, Any]:
        """Arguments of a solid line, for what we measured."""
        return {"color": self.colour, "marker": self.marker, "markersize": 5.5, "linewidth": 1.7}

    def published(self) -> dict[str, Any]:
        """Arguments of a dashed line with hollow marks, for what was published."""
        hollow = {"markerfacecolor": "none", "linestyle": (0, (4, 3)), "linewidth": 1.1, "alpha": 0.8}
        return {**self.line(), **hollow, "markersize": 6.5}


_KNOWN = {
    "sentence_dm": Look(PALETTE[0], "o"),
    "dso": Look(PALETTE[1], "s"),
    "dr": Look(PALETTE[2], "^"),
    "ips": Look(PALETTE[3], "v"),
    "regression": Look(PALETTE[4], "<"),
    "potec": Look(PALETTE[5], "D"),
    "regression_greedy": Look(PALETTE[6], ">"),
    "sentence_dr": Look(PALETTE[7], "P"),
    "online_reinforce": Look(INK, "*"),
    "logging": Look(GREY, "x"),
    "uniform": Look(GREY, "+"),
    "optimal": Look(DARK, "1"),
    "no_prompt": Look(GREY, "2"),
}


def looks(names: Iterable[str]) -> dict[str, Look]:
    """One each; those that have none of their own take what the others leave."""
    names = list(dict.fromkeys(names))
    taken = {_KNOWN[name].colour for name in names if name in _KNOWN}
    colours = cycle([c for c in PALETTE if c not in taken] + [c for c in PALETTE if c in taken])
    markers = cycle("pXd8hH4")
    return {name: _KNOWN[name] if name in _KNOWN else Look(next(colours), next(markers)) for name in names}


def plain(label: str, width: int = 26) -> str:
    """A label as text and nothing else: no formulas, no hidden names, no more than three lines."""
    text = "".join(c if c.isprintable() else " " for c in label).strip() or "…"
    if len(text) > 3 * width:
        text = text[: 3 * width - 1] + "…"
    text = "\n".join(wrap(text, width)).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


@contextmanager
def style() -> Iterator[None]:
    """Figures are built and drawn in this.

    Raises:
        ImportError: matplotlib is not installed.
    """
    with pyplot().rc_context(_RC):
        yield


@style()
def png(figure: Figure) -> bytes:
    """The figure on white."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=150, facecolor="white")
    return stream.getvalue()


@style()
def svg(figure: Figure) -> str:
    """The figure on nothing, its ink dark or light by the reader's colour scheme."""
    stream = BytesIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue().decode().replace(INK, "currentColor")
    head = text.index(">", text.index("<svg")) + 1
    return text[:head] + _SVG_STYLE + text[head:]
