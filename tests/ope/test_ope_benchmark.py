"""`prompt-bandits ope-benchmark` from arguments to the report."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from agents.benchmark.ope.plots import figures
from agents.benchmark.ope.report import write_results
from agents.benchmark.ope.runner import TRIALS, judgement, read_trials, run_ope_benchmark
from agents.benchmark.ope.settings import POLICIES, OpeBenchmark, Problem
from agents.benchmark.ope.tables import best_basic, choices_table, mse_table
from agents.cli.main import main
from agents.ope.judging import Judgement, Trial

TINY = OpeBenchmark(
    n=(60, 120), n_actions=(3,), estimators=("ips", "auto"), worlds=(0,), datasets=2, contexts=200, steps=4, folds=2
)


def made_up(mse: dict[str, float]) -> Judgement:
    """One log, one policy: an estimator is off by the root of its MSE."""
    own = {"n": 100, "n_actions": 3, "world": 0, "dataset": 0, "policy": "near", "truth": 0.0, "truth_se": 0.0}
    return Judgement(
        tuple(
            Trial(**own, estimator=name, logged=0.0, value=error**0.5, low=-1.0, high=1.0)
            for name, error in mse.items()
        )
    )


def test_the_command_writes_tables_plots_and_a_report(tmp_path, capsys) -> None:
    out = tmp_path / "run"
    sizes = ["--n", "60", "120", "--n-actions", "3", "--worlds", "0", "--datasets", "2", "--contexts", "200"]
    models = ["--steps", "4", "--folds", "2", "--estimators", "ips", "ips[clip=2]", "auto"]
    assert main(["ope-benchmark", "--out", str(out), *sizes, *models]) == 0
    assert "report.html" in capsys.readouterr().out
    trials = pyarrow.parquet.read_table(out / "trials.parquet").to_pylist()
    assert len(trials) == 2 * 2 * 2 * 3
    errors = pyarrow.csv.read_csv(out / "errors.csv").to_pylist()
    own = [one for one in trials if (one["n"], one["policy"], one["estimator"]) == (60, "near", "ips[clip=2]")]
    row = next(one for one in errors if (one["n"], one["policy"], one["estimator"]) == (60, "near", "ips[clip=2]"))
    assert row["mse"] == pytest.approx(np.mean([(one["value"] - one["truth"]) ** 2 for one in own]))
    assert {file.name for file in (out / "plots").iterdir()} == {"error.png", "distribution.png", "coverage.png"}
    page = (out / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "ips[clip=2]" in page
    assert pyarrow.parquet.read_table(out / "choices.parquet").num_rows == 2 * 3


def test_a_run_goes_on_where_it_was_cut_off(tmp_path) -> None:
    whole = run_ope_benchmark(TINY, tmp_path, progress=False)
    file = tmp_path / TRIALS
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2]) + lines[2][:50])
    assert len(read_trials(tmp_path)) == 2
    again = run_ope_benchmark(TINY, tmp_path, progress=False)
    assert again.trials == whole.trials
    assert len(file.read_bytes().splitlines()) == 4  # the two that were there were not computed again


def test_what_is_there_of_a_run_is_shown(tmp_path) -> None:
    run_ope_benchmark(TINY, tmp_path, progress=False)
    file = tmp_path / TRIALS
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    write_results(tmp_path)
    assert "3 logs are still to come" in (tmp_path / "report.html").read_text()
    file.write_bytes(b"")
    write_results(tmp_path)
    assert "No log has been judged yet" in (tmp_path / "report.html").read_text()
    assert not list((tmp_path / "plots").iterdir())


def test_a_folder_holds_one_run(tmp_path, capsys) -> None:
    run_ope_benchmark(TINY, tmp_path, progress=False)
    assert main(["ope-benchmark", "--out", str(tmp_path), "--datasets", "3"]) == 2
    assert "holds a run with other settings" in capsys.readouterr().err
    assert main(["ope-benchmark", "--out", str(tmp_path)]) == 0
    (tmp_path / TRIALS).write_text("{}\n")
    assert main(["ope-benchmark", "--out", str(tmp_path)]) == 2
    assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--estimators", "isp"], "did you mean 'ips'"),
        (["--policies", "nearby"], "policies: expected one of near, far"),
        (["--k", "3"], "k: expected an integer in 1 … 2"),
        (["--n", "1"], "n: expected an integer >= 2"),
        (["--worlds", "x"], "worlds: expected such as 0:20"),
        (["--environment", "reward_std=-1"], "reward_std"),
    ],
)
def test_a_wrong_argument_is_named_in_a_line(tmp_path, capsys, arguments, told) -> None:
    assert main(["ope-benchmark", "--out", str(tmp_path / "run"), *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_settings_are_what_their_json_says() -> None:
    asked = OpeBenchmark(n=(50,), environment={"reward_type": "binary"}, threshold=0.5)
    assert OpeBenchmark.from_json(json.loads(json.dumps(asked.to_json()))) == asked


def test_logs_share_no_seed_across_worlds() -> None:
    jobs = list(OpeBenchmark(worlds=(0, 1), datasets=3).jobs())
    assert len(jobs) == len(set(jobs)) == 2 * 3 * 3 * 3
    assert len({job.dataset for job in jobs}) == 6


def test_the_near_policy_is_nearer_than_the_far_one() -> None:
    problem = Problem.of(OpeBenchmark(policies=tuple(POLICIES)), 20, 0)
    obs = problem.simulator.observe(problem.simulator.oracle_rounds(500))
    logging = problem.logging_policy.action_dist(obs)
    chi2 = {name: (one.action_dist(obs) ** 2 / logging).sum(axis=1).mean() for name, one in problem.policies.items()}
    assert chi2["near"] < 1.5 < chi2["halfway"] < chi2["far"]


def test_a_table_holds_every_estimator_against_the_best_of_four_in_hindsight() -> None:
    found = made_up({"ips": 0.04, "dm": 0.01, "auto": 0.02})
    assert best_basic(found.errors()) == pytest.approx(0.01)
    text = str(mse_table(found.errors()))
    for entry in ("4.00e-02 (4.00)", "1.00e-02 (1.00)", "2.00e-02 (2.00)"):
        assert entry in text
    assert "(" not in str(mse_table(made_up({"auto": 0.02}).errors())).partition("auto")[2]


def test_measures_that_are_not_defined_are_dashes() -> None:
    text = str(choices_table(made_up({"ips": 0.04}).choices()))
    assert "| – |" in text.replace(" ", "").replace("|–|", "| – |")


@pytest.mark.parametrize("mse", [{"ips": 0.04}, {"ips": 0.0, "auto": 0.01}])
def test_few_logs_are_drawn_without_a_warning(mse, recwarn) -> None:
    from agents.benchmark.plot_style import png

    found = made_up(mse)
    drawn = figures(found, found.errors(), 0.95)
    assert all(len(png(figure)) > 1000 for figure in drawn.values())
    assert not [one for one in recwarn if "log" in str(one.message)]
    assert math.isclose(drawn["coverage"].axes[0].get_ylim()[1], 1.03)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tmp_path) -> None:
    one = run_ope_benchmark(TINY, tmp_path / "one", progress=False)
    two = run_ope_benchmark(TINY, tmp_path / "two", workers=2, progress=False)
    assert two.trials == one.trials
    assert judgement(TINY, read_trials(tmp_path / "two")).trials == one.trials
