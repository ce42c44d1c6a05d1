"""Cells on disk, their means, and the published figures beside them."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import replace

import pytest
from made_up_runs import failed_cell, made_up_cell, made_up_cells, write_run
from pyarrow import parquet

from agents.benchmark.exports import write_cells, write_means
from agents.benchmark.pairing import paired_differences, paired_table, pairs, worlds_table
from agents.benchmark.published import published_mean, published_seed
from agents.benchmark.results import Cell, append_cell, read_cells, read_run, summarise
from agents.benchmark.tables import results_table

CELL = made_up_cell("data_size", 500, 0, "dso")


def test_a_cell_survives_its_line() -> None:
    line = CELL.to_json()
    assert "\n" not in line
    assert Cell.from_json(line) == CELL
    assert json.loads(line)["curve"][1][0] == 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy_value": math.nan}, "policy_value: expected a finite number or none, got nan"),
        ({"wall_s": "12"}, "wall_s: expected a finite number or none, got '12'"),
        ({"curve": ((0, 0.1), (1000, math.inf))}, "curve at step 1000: expected a finite number"),
        ({"optimality": None}, "optimality: expected a number in a cell that is ok"),
        ({"status": "failed"}, "error: expected a text in a cell that failed"),
        ({"status": "running"}, "status: expected ok or failed, got 'running'"),
    ],
)
def test_a_cell_without_its_results_is_refused(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CELL, **changes)


def test_cells_are_appended_in_order_and_the_last_of_a_key_counts(tmp_path) -> None:
    file = tmp_path / "new" / "cells.jsonl"
    assert read_cells(file) == []
    failed = failed_cell("data_size", 500, 0, "dso", "ValueError: no")
    other = made_up_cell("data_size", 500, 1, "dso")
    for cell in (failed, other, CELL):
        append_cell(file, cell)
    assert len(file.read_text().splitlines()) == 3
    assert read_cells(file) == [CELL, other]


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_torn_last_line_is_passed_over_and_repaired(tmp_path, kept) -> None:
    file = tmp_path / "cells.jsonl"
    second, third = (made_up_cell("data_size", 500, seed, "dso") for seed in (1, 2))
    append_cell(file, CELL)
    with file.open("a") as stream:
        stream.write((second.to_json() + "\n")[:kept])
    assert read_cells(file) == [CELL]
    append_cell(file, third)
    assert read_cells(file) == [CELL, third]


def test_nothing_is_left_of_a_torn_line_that_is_longer_than_the_next(tmp_path) -> None:
    file = tmp_path / "cells.jsonl"
    append_cell(file, CELL)
    with file.open("a") as stream:
        stream.write(CELL.to_json()[:-1])
    short = replace(CELL, curve=(), world_seed=1)
    append_cell(file, short)
    assert file.read_text() == f"{CELL.to_json()}\n{short.to_json()}\n"


def test_a_file_that_is_torn_in_its_first_line_is_repaired(tmp_path) -> None:
    file = tmp_path / "cells.jsonl"
    file.write_text('{"setting": ')
    assert read_cells(file) == []
    append_cell(file, CELL)
    assert read_cells(file) == [CELL]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "expected a JSON object, got list"),
        ("", "Expecting value"),
        (json.dumps({**json.loads(CELL.to_json()), "more": 1}), r"missing \[\], unknown \['more'\]"),
        (CELL.to_json().replace('"curve": [[', '"curve": [7, ['), "int"),
    ],
)
def test_a_damaged_line_before_the_last_is_named(tmp_path, line, why) -> None:
    file = tmp_path / "cells.jsonl"
    file.write_text(f"{CELL.to_json()}\n{line}\n{CELL.to_json()}\n")
    with pytest.raises(ValueError, match=rf"cells\.jsonl, line 2: holds no cell \(.*{why}"):
        read_cells(file)


def test_a_folder_without_a_run_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"found no run\.json"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json: damaged"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text('{"setting": "default"}')
    with pytest.raises(ValueError, match="expected an object with setting and parameter"):
        read_run(tmp_path)


def with_optimality(value: float | None, seed: int, method: str, optimality: float) -> Cell:
    changes = {"optimality": optimality, "wall_s": 10.0 + seed, "peak_mb": 100.0 * seed}
    return made_up_cell("data_size", value, seed, method, **changes)


def test_means_are_taken_over_the_worlds_that_ended() -> None:
    cells = [
        with_optimality(8000, 0, "ips", 0.2),
        with_optimality(500, 0, "dso", 0.1),
        with_optimality(500, 1, "dso", 0.3),
        with_optimality(500, 2, "dso", 0.8),
        failed_cell("data_size", 500, 3, "dso", "ValueError: no"),
        with_optimality(500, 0, "ips", 0.5),
        failed_cell("data_size", 8000, 0, "dso", "ValueError: no"),
    ]
    rows = summarise(cells)
    assert [(row.value, row.method, row.n_ok, row.n_failed) for row in rows] == [
        (500, "ips", 1, 0),
        (500, "dso", 3, 1),
        (8000, "ips", 1, 0),
        (8000, "dso", 0, 1),
    ]
    assert rows[1].optimality.value == pytest.approx(0.4)
    assert rows[1].optimality.se == pytest.approx(math.sqrt(0.13 / 3))  # variance (.09 + .01 + .16) / 2
    assert (rows[1].wall_s, rows[1].peak_mb) == (11.0, 200.0)
    assert rows[0].optimality.se == math.inf
    assert rows[3].optimality is rows[3].wall_s is None


def test_the_tables_of_cells_hold_every_field(tmp_path) -> None:
    cells = [CELL, failed_cell("data_size", 500, 1, "dso", 'ValueError: "a", b\nc')]
    run = read_run(write_run(tmp_path, "data_size", cells))
    write_cells(tmp_path, run)
    rows = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert rows[0]["optimality"] == CELL.optimality
    assert json.loads(rows[0]["config"]) == CELL.config
    assert [tuple(point) for point in json.loads(rows[0]["curve"])] == list(CELL.curve)
    assert (rows[1]["optimality"], rows[1]["error"]) == (None, cells[1].error)
    with (tmp_path / "results.csv").open(newline="") as stream:
        text = list(csv.DictReader(stream))
    assert list(text[0]) == list(rows[0])
    assert float(text[0]["policy_value"]) == CELL.policy_value
    assert (text[1]["optimality"], text[1]["error"]) == ("", cells[1].error)


def test_published_means_are_those_of_the_published_worlds() -> None:
    some = [("data_size", 500, "dso"), ("candidate_actions", 10, "potec"), ("reward_noise", 3, "dr")]
    for setting, value, method in some:
        worlds = [published_seed(setting, value, method, seed).optimality for seed in range(20)]
        assert published_mean(setting, value, method).optimality == pytest.approx(sum(worlds) / 20, abs=1e-4)
    assert published_mean("data_size", 8000, "online_reinforce").optimality == 0.705
    assert published_seed("data_size", 500, "online_reinforce", 0).policy_value == 0.43284571170806885


def test_published_lower_bounds_are_marked() -> None:
    bounds = [value for value in (0, 1, 2, 3) if published_mean("reward_noise", value, "dso").lower_bound]
    assert bounds == [0, 2, 3]
    assert not published_mean("reward_noise", 2, "dr").lower_bound


def test_defaults_of_other_settings_have_the_figures_of_the_default() -> None:
    default = published_mean("data_size", 8000, "dso")
    assert published_mean("default", None, "dso") == default
    assert published_mean("logging_policy", 1.0, "dso") == default
    assert published_mean("logging_policy", 2.0, "dso") is None
    assert published_seed("default", None, "dso", 3) == published_seed("data_size", 8000, "dso", 3)
    assert published_mean("kernel_bandwidth", 1.0, "dso") == default
    assert published_mean("kernel_bandwidth", 4.0, "dso[kernel=uniform]").optimality == -0.02
    assert published_mean("default", None, "sentence_dm") is None
    assert published_seed("default", None, "dso", 20) is None


def test_the_table_of_results_stands_beside_the_published_figures(tmp_path) -> None:
    cells = [
        with_optimality(8000, 0, "dso", 0.4),
        with_optimality(8000, 1, "dso", 0.5),
        replace(with_optimality(8000, 0, "mine", 0.25), label="a|b <c>"),
        failed_cell("data_size", 8000, 1, "mine", "ValueError: no"),
    ]
    cells = [replace(cell, policy_value=cell.policy_value and 0.5) for cell in cells]
    lines = str(results_table(read_run(write_run(tmp_path, "data_size", cells)))).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2].startswith("| 8,000 | DSO         |            2 |")
    head, rule, dso, mine = (re.split(r" +\| +", line.strip("| ")) for line in lines)
    assert head[:5] == ["n", "method", "worlds", "optimality", "published"]
    assert [text.endswith(":") for text in rule[:3]] == [True, False, True]
    assert dso == ["8,000", "DSO", "2", "0.450 ± 0.050", "0.458 ± 0.019", "0.500 ± 0.000", "10.5", "100"]
    assert mine == ["8,000", r"a\|b &lt;c>", "1 (1 failed)", "0.250", "–", "0.500", "10.0", "0"]


def test_the_csv_of_means_leaves_empty_what_is_absent(tmp_path) -> None:
    cells = [with_optimality(500, 0, "mine", 0.25), failed_cell("data_size", 500, 0, "dso", "ValueError: no")]
    run = read_run(write_run(tmp_path, "data_size", cells))
    write_means(tmp_path, run)
    with (tmp_path / "table.csv").open(newline="") as stream:
        mine, dso = csv.DictReader(stream)
    assert (mine["optimality"], mine["optimality_se"], mine["published_optimality"]) == ("0.25", "", "")
    assert (dso["optimality"], dso["worlds"], dso["failed"]) == ("", "0", "1")
    assert (dso["published_optimality"], dso["published_is_lower_bound"]) == ("0.2619", "False")


def test_pairs_are_taken_world_by_world(tmp_path) -> None:
    def above(seed: int, by: float) -> Cell:
        return with_optimality(8000, seed, "dso", published_seed("data_size", 8000, "dso", seed).optimality + by)

    cells = [above(0, 0.1), above(3, 0.3), with_optimality(8000, 20, "dso", 0.9), with_optimality(8000, 0, "mine", 0.9)]
    cells += [failed_cell("data_size", 8000, 4, "dso", "ValueError: no"), made_up_cell("data_size", 8000, 0, "optimal")]
    run = read_run(write_run(tmp_path, "data_size", cells))
    (found,) = paired_differences(run)
    assert (found.value, found.method, found.difference.n) == (8000, "dso", 2)
    assert found.difference.value == pytest.approx(0.2)
    assert found.difference.se == pytest.approx(0.1)
    assert [entry.text for entry in paired_table(run).rows[0]][-1] == "+0.200 ± 0.100"
    assert [row[-1].text for row in worlds_table(run).rows] == ["+0.100", "+0.300"]


def test_above_a_lower_bound_the_difference_is_an_upper_one(tmp_path) -> None:
    run = read_run(write_run(tmp_path, "reward_noise", list(made_up_cells("reward_noise", ["dso"], values=[1.0, 2.0]))))
    exact, bounded = paired_table(run).rows
    assert not exact[-2].text.startswith("≥")
    assert bounded[-2].text.startswith("≥ 0.")
    assert bounded[-1].text.startswith("≤ ")


@pytest.mark.parametrize("settings", [{"world": "independent"}, {"world_config": {"d_x": 3}}, {"base": {"n": 100}}])
def test_other_worlds_have_no_pairs(tmp_path, settings) -> None:
    cells = list(made_up_cells("default", ["dso"]))
    assert len(list(pairs(read_run(write_run(tmp_path / "same", "default", cells))))) == 5
    assert list(pairs(read_run(write_run(tmp_path / "other", "default", cells, **settings)))) == []
