"""What export and import share: the formats there are, and their options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from prompt_bandits.exchange.formats import FORMATS, format_of, options_of

from .common import Answer
from .environment_argument import parsed

Way = Literal["export", "import"]


def options_for(name: str, options: tuple[str, ...], way: Way) -> dict[str, Any]:
    """The options of a format, from `name=value` texts.

    Raises:
        ValueError: no such format or option, or one that is not of this way.
        ImportError: the format's code needs what is not installed.
    """
    known, given = options_of(_function(name, way)), parsed(options, "options")
    for option in given:
        if option not in known:
            expected = ", ".join(map(_shown, known.values())) or "none"
            raise ValueError(f"options: {name} has no {option!r} here; expected {expected}")
    return given


def formats(way: Way) -> Answer:
    """All formats of this way, with their options where their libraries are there."""
    known = {name: one for name, one in FORMATS.items() if _written(one, way) is not None}
    width = max(map(len, known))
    lines, values = [], dict[str, Any]()
    for name, one in known.items():
        needs = f' (pip install "prompt_bandits[{one.extra}]")' if one.extra else ""
        lines.append(f"  {name:<{width}}  {one.about}{needs}")
        options = _options_of(name, way)
        if options:
            lines.append(f"  {'':<{width}}  options: {', '.join(options)}")
        values[name] = {"about": one.about, "extra": one.extra, "streams": one.streams, "options": options}
    return Answer("\n".join([f"formats to {way}", *lines]), {"formats": values})


def _options_of(name: str, way: Way) -> list[str]:
    try:
        return [_shown(one) for one in options_of(_function(name, way)).values()]
    except ImportError:
        return []


def _shown(parameter: Any) -> str:
    return str(parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default}")


def _function(name: str, way: Way) -> Callable[..., Any]:
    found = format_of(name)
    return found.exporter() if way == "export" else found.importer()


def _written(format: Any, way: Way) -> str | None:
    found: str | None = format.export if way == "export" else format.import_
    return found
