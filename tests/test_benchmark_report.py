"""The plots and the report of a run: what they show, and that text from data stays text."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html import unescape

import pytest
from made_up_runs import KERNELS, SCRIPT, failed_cell, few, hostile_run, made_up_cell, write_run

from agents.benchmark.ablation import ablation_figure
from agents.benchmark.learning_curves import curves_figure, mean_curve
from agents.benchmark.plot_style import looks
from agents.benchmark.plots import bar_figure, figures, sweep_figure
from agents.benchmark.published import published_mean
from agents.benchmark.report import write_results
from agents.benchmark.results import read_run, summarise

WRITTEN = {"results.parquet", "results.csv", "table.csv", "table.md", "report.html"}


PARTIAL = {
    "whole": ("data_size", few()),
    "one seed": ("data_size", few(seeds=[4])),
    "one value": ("reward_noise", few("reward_noise", values=[2.0])),
    "one cell": ("reward_noise", few("reward_noise", ("mine",), values=[2.0], seeds=[0])),
    "nothing swept": ("default", few("default")),
    "nothing published": ("logging_policy", few("logging_policy", ("mine",))),
    "cells missing": ("candidate_actions", few("candidate_actions")[:-5]),
    "an ablation": ("kernel_bandwidth", few("kernel_bandwidth", (*KERNELS, "sentence_dm"))),
    "all failed": ("default", [failed_cell("default", None, 0, "dso", "ValueError: no")]),
    "no curves": ("data_size", [replace(cell, curve=()) for cell in few()]),
    "baselines only": ("data_size", few(methods=("uniform", "optimal"))),
    "no cell": ("data_size", []),
}


@pytest.mark.parametrize("name", PARTIAL)
def test_whatever_has_ended_is_written(tmp_path, name) -> None:
    setting, cells = PARTIAL[name]
    write_results(write_run(tmp_path, setting, cells))
    assert {path.name for path in tmp_path.iterdir()} >= WRITTEN
    page = (tmp_path / "report.html").read_text()
    plots = {path.stem for path in tmp_path.glob("plots/*.png")}
    assert page.count("<figure") == len(plots)
    assert page.count(">Failed cells<") == ("failed" in name)
    shown = {"all failed": set(), "no cell": set(), "baselines only": set(), "no curves": {"optimality"}}
    expected = {"optimality", "learning_curves", *(["ablation"] if name == "an ablation" else [])}
    assert plots == shown.get(name, expected)


def test_the_same_run_gives_the_same_report(tmp_path) -> None:
    cells = few(values=[500, 8000])
    for name in ("a", "b"):
        write_results(write_run(tmp_path / name, "data_size", cells))
    assert (tmp_path / "a/report.html").read_bytes() == (tmp_path / "b/report.html").read_bytes()


def test_plots_of_an_earlier_time_go(tmp_path) -> None:
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/ablation.png").touch()
    write_results(write_run(tmp_path, "default", few("default")))
    assert not (tmp_path / "plots/ablation.png").exists()


def test_without_matplotlib_the_tables_are_there_and_the_message_says_what_to_install(tmp_path, monkeypatch) -> None:
    folder = write_run(tmp_path, "default", few("default"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=re.escape('plots need matplotlib: pip install "prompt_bandits[plots]"')):
        write_results(folder)
    assert {path.name for path in tmp_path.iterdir()} >= WRITTEN - {"report.html"}


def lines(ax) -> dict[str, object]:
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def test_a_sweep_shows_means_bands_and_dashed_published_means_in_the_same_colour(tmp_path) -> None:
    run = read_run(write_run(tmp_path, "data_size", few()))
    (ax,) = sweep_figure(run).axes
    shown = lines(ax)
    dso = [row.optimality for row in summarise(run.cells) if row.method == "dso"]
    assert list(shown["DSO"].get_xdata()) == [500, 1000, 2000, 4000, 8000]
    assert list(shown["DSO"].get_ydata()) == pytest.approx([mean.value for mean in dso])
    band = ax.collections[1].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(max(mean.value + mean.se for mean in dso))
    dashed = next(line for line in ax.get_lines() if line.get_color() == shown["DSO"].get_color())
    assert dashed.get_linestyle() == "--"
    published = [published_mean("data_size", n, "dso").optimality for n in (500, 1000, 2000, 4000, 8000)]
    assert list(dashed.get_ydata()) == published
    assert sum(line.get_color() == shown["mine"].get_color() for line in ax.get_lines()) == 1
    assert len({shown[name].get_color() for name in ("DSO", "mine", "Logging policy")}) == 3
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["500", "1,000", "2,000", "4,000", "8,000"]


def test_bars_are_sorted_and_say_their_numbers(tmp_path) -> None:
    cells = few("default", ("uniform", "dso", "ips", "sentence_dm", "optimal"))
    (ax,) = bar_figure(read_run(write_run(tmp_path, "default", cells))).axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["IPS", "DSO", "Sentence DM"]
    widths = [bar.get_width() for bar in ax.patches]
    assert [text.get_text()[:5] for text in ax.texts] == [f"{width:.3f}" for width in widths]
    assert len(ax.containers) - 3 - 3 == 2  # bars, their errors, and the published marks of two


def test_one_swept_value_alone_gives_bars(tmp_path) -> None:
    run = read_run(write_run(tmp_path, "reward_noise", few("reward_noise", ("dso", "mine"), values=[2.0])))
    (ax,) = figures(run)["optimality"].axes
    assert len(ax.patches) == 2
    assert ax.get_xlabel().endswith("reward_std = 2")
    (published,) = (line for line in ax.get_lines() if line.get_marker() == "D")
    assert list(published.get_xdata()) == [published_mean("reward_noise", 2.0, "dso").optimality]
    assert sum(text.get_text() == "" for text in ax.texts) == 1  # the arrow of a lower bound


def test_the_ablation_has_a_panel_a_density_and_a_line_a_kernel(tmp_path) -> None:
    cells = [replace(cell, label="same") for cell in few("kernel_bandwidth", KERNELS)]
    run = read_run(write_run(tmp_path, "kernel_bandwidth", cells))
    axes = ablation_figure(run).axes
    assert [ax.get_title() for ax in axes] == ["density by function approximation", "density by Monte Carlo"]
    for ax, more in zip(axes, ("", ",density_by=monte_carlo"), strict=True):
        shown = lines(ax)
        assert {"gaussian", "uniform"} <= shown.keys()
        method = f"dso[kernel=uniform{more}]"
        means = [row.optimality.value for row in summarise(run.cells) if row.method == method]
        assert list(shown["uniform"].get_ydata()) == pytest.approx(means)
    assert set(figures(run)) == {"ablation", "learning_curves"}


def test_learning_curves_are_means_on_the_scale_of_optimality(tmp_path) -> None:
    first = made_up_cell("default", None, 0, "dso", uniform_value=0.0, optimal_value=1.0, curve=((0, 0.0), (10, 0.4)))
    second = made_up_cell(
        "default", None, 1, "dso", uniform_value=1.0, optimal_value=3.0, curve=((0, 1.0), (5, 9.0), (10, 2.2))
    )
    curve = mean_curve([first, second])
    assert [(step, round(mean.value, 6), round(mean.se, 6)) for step, mean in curve] == [(0, 0.0, 0.0), (10, 0.5, 0.1)]
    (ax,) = curves_figure(read_run(write_run(tmp_path, "default", [first, second]))).axes
    assert list(lines(ax)["DSO"].get_ydata()) == pytest.approx([0.0, 0.5])


def test_curves_without_a_common_step_are_not_drawn(tmp_path) -> None:
    odd = [made_up_cell("default", None, seed, "dso", curve=((seed, 0.1), (seed + 5, 0.2))) for seed in range(2)]
    run = read_run(write_run(tmp_path, "default", [*odd, *few("default", ("mine",))]))
    (ax,) = curves_figure(run).axes
    assert list(lines(ax)) == ["mine"]


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("$x^2$", r"\$x^2\$"),
        ("$\\frac$", r"\$\frac\$"),
        ("_hidden", " _hidden"),
        (SCRIPT, SCRIPT),
        ("two\nlines\x00", "two lines"),
        ("l" * 300, "\n".join(["l" * 26, "l" * 26, "l" * 25 + "…"])),
        (" ", "…"),
    ],
)
def test_any_label_is_drawn_as_it_is(tmp_path, label, shown) -> None:
    cells = [replace(cell, label=label) for cell in few(methods=("mine",), values=[500, 8000])]
    run = read_run(write_run(tmp_path, "data_size", cells))
    (legend,) = sweep_figure(run).legends
    assert [text.get_text() for text in legend.get_texts()] == [shown]
    write_results(tmp_path)
    assert (tmp_path / "report.html").exists()


def test_a_method_without_a_colour_of_its_own_takes_one_that_is_left() -> None:
    names = ["mine", "sentence_dm", "dso", "dr", "yours"]
    assert len({look.colour for look in looks(names).values()}) == 5
    assert looks(["dso"])["dso"] == looks(names)["dso"]


def test_methods_of_the_same_label_are_all_in_the_legend(tmp_path) -> None:
    cells = [replace(cell, label="same") for cell in few(methods=("mine", "yours"), values=[500, 8000])]
    run = read_run(write_run(tmp_path, "data_size", cells))
    for figure in (sweep_figure(run), curves_figure(run)):
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == ["same", "same"]


def test_text_from_data_is_escaped(tmp_path) -> None:
    write_results(hostile_run(tmp_path))
    page = (tmp_path / "report.html").read_text()
    assert page.count("<script") == page.count("</script") == 1
    assert page.count("<img") == page.count("<figure") == 2
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 10
    assert f"ValueError: {SCRIPT}" in unescape(page)


def test_the_report_needs_nothing_but_itself(tmp_path) -> None:
    write_results(write_run(tmp_path, "data_size", few()))
    page = (tmp_path / "report.html").read_text()
    assert {source[:26] for source in re.findall(r'(?:src|href)="([^"]*)"', page)} == {"data:image/svg+xml;base64,"}
    assert not re.search(r"@import|url\(", page)
    assert "default-src 'none'" in page


def test_the_report_says_what_does_not_compare(tmp_path) -> None:
    cells = few("default", ("dso",))
    write_results(write_run(tmp_path / "a", "default", cells, world="independent", steps_scale=0.1))
    write_results(write_run(tmp_path / "b", "default", cells, world_config={"d_x": 3}))
    write_results(write_run(tmp_path / "c", "default", cells))
    a, b, c = ((tmp_path / name / "report.html").read_text() for name in "abc")
    assert "not the published ones" in a
    assert "multiplied by 0.1" in a
    assert "Not the published settings (d_x = 3)" in b
    assert 'class="note"' not in c
    assert [page.count('id="paired"') for page in (a, b, c)] == [0, 0, 1]
    tables = [(tmp_path / name / "table.md").read_text() for name in "abc"]
    assert [".458 ± " in table for table in tables] == [False, False, True]


def test_the_report_counts_what_is_missing(tmp_path) -> None:
    cells = [*few(), failed_cell("data_size", 500, 3, "dso", "ValueError: no")]
    write_results(write_run(tmp_path, "data_size", cells, seeds=[0, 1, 2, 3]))
    facts = re.findall(r"<li><b>(\d+)</b> (.*)</li>", (tmp_path / "report.html").read_text())
    assert facts == [
        ("5", "values of n"),
        ("3", "methods"),
        ("4", "worlds (published)"),
        ("45", "cells done"),
        ("1", "failed"),
        ("14", "to come"),
    ]
