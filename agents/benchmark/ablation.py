"""The ablation of the output kernel: optimality over bandwidth × kernel × how its density is found."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .measures import OPTIMALITY
from .plot_parts import draw_limits, draw_method, legend, swept_axis
from .plot_style import looks, plain, style
from .results import Cell, Run, Summary, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KERNELS = ("gaussian", "uniform", "laplace", "epanechnikov")
_SETTINGS = ("kernel_bandwidth", "output_noise")
_DENSITIES = {
    "function": "density by function approximation",
    "monte_carlo": "density by Monte Carlo",
    "nearest": "density by nearest neighbours",
}


@dataclass(frozen=True)
class Form:
    """A learner with a kernel, in one of its forms."""

    learner: str  # its method name without kernel and density
    kernel: str
    density: str


def form_of(cell: Cell) -> Form | None:
    """What form of the learner a cell has; None for a learner without a kernel."""
    match = re.fullmatch(r"([^\[]*)(?:\[(.*)\])?", cell.method, re.DOTALL)
    stem, options = (match[1], match[2] or "") if match else (cell.method, "")
    named = dict(pair.partition("=")[::2] for pair in options.split(",") if pair)
    known = {name: named.pop(name, cell.config.get(name)) for name in ("kernel", "density_by")}
    if known["kernel"] is None:
        return None
    rest = ",".join(f"{name}={value}" for name, value in named.items())
    learner = f"{stem}[{rest}]" if rest else stem
    return Form(learner, str(known["kernel"]), str(known["density_by"] or "function"))


def is_ablation(run: Run) -> bool:
    """Whether the run's setting is one that forms of the kernel are compared in."""
    return run.setting in _SETTINGS


def others(run: Run) -> Run:
    """The run without the cells that its ablation shows."""
    return replace(run, cells=tuple(cell for cell in run.cells if form_of(cell) is None))


@style()
def ablation_figure(run: Run) -> Figure | None:
    """A panel a density, a line a kernel, the bandwidth (or the noise inside the kernel) along; None without data."""
    from matplotlib.figure import Figure

    forms = {cell.method: form for cell in run.cells if (form := form_of(cell))}
    rows = [row for row in summarise(run.cells) if row.method in forms and row.optimality is not None]
    panels: dict[str, list[Summary]] = defaultdict(list)
    for row in rows:
        panels[forms[row.method].density].append(row)
    if not panels:
        return None
    labels = _labels(forms)
    colours = looks([*_KERNELS, *labels.values()])
    ranked = sorted(panels, key=lambda density: [*_DENSITIES, density].index(density))
    figure = Figure(figsize=(3.3 * len(ranked) + 2.2, 4.2), layout="constrained")
    axes = figure.subplots(1, len(ranked), sharey=True, squeeze=False)[0]
    any_published = False
    for ax, density in zip(axes, ranked, strict=True):
        for method in dict.fromkeys(row.method for row in panels[density]):
            own = [row for row in panels[density] if row.method == method]
            any_published |= draw_method(ax, run, own, colours[labels[method]], labels[method])
        draw_limits(ax, OPTIMALITY.limits)
        swept_axis(ax, run.parameter, sorted({row.value for row in rows if row.value is not None}), width=30)
        ax.set_title(plain(_DENSITIES.get(density, f"density by {density}"), 40))
    axes[0].set_ylabel(OPTIMALITY.axis)
    legend(figure, axes, any_published)
    return figure


def _labels(forms: Mapping[str, Form]) -> dict[str, str]:
    """The kernel, with the learner before it where there are several."""
    several = len({form.learner for form in forms.values()}) > 1
    return {name: f"{form.learner}, {form.kernel}" if several else form.kernel for name, form in forms.items()}
