"""Estimators by name, as tables write them: "dr", "ips[clip=10]"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from .estimators.base import Estimator


def estimator_classes() -> Mapping[str, type[Any]]:
    """Those that have defaults, by their short names."""
    from . import estimators, selection

    found = [value for module in (estimators, selection) for value in vars(module).values() if isinstance(value, type)]
    return {one.short: one for one in found if hasattr(one, "round_values") and hasattr(one, "short")}


def estimator_named(text: str) -> Estimator:
    """The estimator that a table calls so.

    Raises:
        ValueError: an unknown name or field, or a value of another type or out of range.
    """
    from ..benchmark.plain_values import parse_fields

    classes = estimator_classes()
    match = re.fullmatch(r"\s*([\w-]+)\s*(?:\[(.*)\])?\s*", text)
    if match is None:
        raise ValueError(f"estimators: expected such as dr or ips[clip=10], got {text!r}")
    short = match[1].replace("_", "-")
    if short not in classes:
        close = get_close_matches(short, classes, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(classes)}"
        raise ValueError(f"estimators: unknown estimator {short!r}; {hint}")
    given = re.split(r",(?![^(]*\))", match[2] or "")  # not at the commas of a tuple
    pairs = [re.sub(r"^\s*lambda\s*=", "lambda_=", pair) for pair in given if pair.strip()]
    try:
        made: Estimator = classes[short](**parse_fields(classes[short], pairs))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{short}: {error}") from error
    return made
