"""`prompt-bandits evaluate`: what it decides, prints and writes, and how it fails."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import prompt_bandits
from agents import ope
from agents.cli import evaluate as command
from agents.cli.main import main
from agents.ope.comparing import Comparison
from agents.ope.diagnostics import Diagnostics
from agents.ope.interval_type import Interval
from agents.ope.models import Models
from agents.ope.report import report
from agents.ope.results import Evaluation, Result
from agents.ope.verdict import KEEP, SHIP, UNKNOWN, verdict
from prompt_bandits.policies import OracleScore, Softmax, Uniform
from prompt_bandits.synthetic import SyntheticConfig

WEIGHTS = ("--estimators", "snips", "ips")  # need no models


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A log of a nearly uniform policy, a better policy and a worse one."""
    folder = tmp_path_factory.mktemp("evaluate")
    simulator = SyntheticConfig(n_actions=5).build()
    score = OracleScore(simulator)
    prompt_bandits.collect(simulator, Softmax(score, beta=0.1), 3000, seed=0, path=folder / "log", progress=False)
    prompt_bandits.save(Softmax(score, beta=2.0), folder / "better")
    prompt_bandits.save(Softmax(score, beta=-2.0), folder / "worse")
    prompt_bandits.save(Softmax(score, beta=0.1), folder / "same")
    prompt_bandits.save(Softmax(score, beta=0.101), folder / "hardly better")
    return folder


def run(folder: Path, policy: str, *options: str) -> int:
    arguments = ["--data", str(folder / "log"), "--policy", str(folder / policy), "--out", str(folder / "out")]
    return main(["evaluate", *arguments, *options])


def said(capsys) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_better_policy_is_shipped_and_a_worse_one_is_not(folder, capsys) -> None:
    assert run(folder, "better", *WEIGHTS) == 0
    out = said(capsys)
    gain = r"\+\d\.\d{4} \[\+\d\.\d{4}, \+\d\.\d{4}\]"
    assert re.search(rf"Ship it: the new policy is better with probability > 99.9%; gain {gain} a round\.", out)
    assert run(folder, "worse", *WEIGHTS) == 0
    assert "Don't ship: the new policy is worse with probability > 99.9%" in said(capsys)


def test_a_folder_as_baseline_is_compared_in_pairs(folder, capsys) -> None:
    assert run(folder, "worse", "--baseline", str(folder / "better"), *WEIGHTS) == 0
    out = said(capsys)
    assert "change against better" in out
    assert "Don't ship" in out
    data = prompt_bandits.BanditDataset.load(folder / "log")
    new, old = (ope.evaluate(folder / name, data, [ope.SNIPS()], progress=False) for name in ("worse", "better"))
    gain = new.difference(old)["snips"]
    assert f"{gain.estimate.value:+.4f} [{gain.interval.low:+.4f}, {gain.interval.high:+.4f}]" in out


def test_a_policy_that_does_the_same_is_neither_better_nor_worse(folder, capsys) -> None:
    assert run(folder, "same", "--baseline", str(folder / "same"), *WEIGHTS) == 0
    assert "There is nothing to tell: both policies earn the same here." in said(capsys)


def test_json_is_all_that_is_printed_and_is_what_is_written(folder, capsys) -> None:
    assert run(folder, "better", "--json", *WEIGHTS) == 0
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((folder / "out/evaluation.json").read_bytes())
    assert written.pop("settings")["estimators"] == ["snips", "ips"]
    assert printed == written
    assert printed["verdict"]["decision"] == SHIP
    assert printed["verdict"]["headline"] == "snips"
    assert [one["name"] for one in printed["new"]["results"]] == ["snips", "ips"]


def test_the_page_has_the_verdict_a_plot_and_every_warning_and_runs_nothing_else(folder) -> None:
    assert run(folder, "better", *WEIGHTS) == 0
    page = (folder / "out/report.html").read_text()
    assert "Ship it: the new policy is better" in page
    assert page.count("data:image/svg+xml;base64,") == 1
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    for word in ("effective rounds", "mean weight", "never tried"):
        assert f"<dt>{word}</dt>" in page


def test_text_from_names_is_escaped() -> None:
    found = replace(made_up(0.3), policy="<script>alert(1)</script>")
    assert "<script>alert" not in report(Comparison(found, "dr"), {"policy": "<script>alert(2)</script>"})


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--data", "nowhere"], 1, "nowhere"),
        (["--policy", "nowhere"], 1, "nowhere"),
        (["--policy", "log"], 1, "log"),
        (["--estimators", "dx"], 2, "unknown estimator 'dx'"),
        (["--interval", "guess"], 2, "interval: expected one of student_t"),
        (["--interval", "hoeffding", *WEIGHTS], 2, "reward_range"),
        (["--level", "95"], 2, "level: expected a number in (0, 1)"),
        (["--baseline", "nowhere", *WEIGHTS], 1, "nowhere"),
        (["--propensities", "guessed"], 2, "guessed"),
    ],
)
def test_errors_are_a_line_that_names_what_is_wrong(folder, monkeypatch, capsys, arguments, status, says) -> None:
    monkeypatch.chdir(folder)
    given = {"--data": "log", "--policy": "better", "--out": "elsewhere"}
    given = {name: value for name, value in given.items() if name not in arguments}
    assert main(["evaluate", *(part for pair in given.items() for part in pair), *arguments]) == status
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert not (folder / "elsewhere").exists()


def test_without_propensities_there_is_a_way_on(folder, capsys) -> None:
    data = prompt_bandits.BanditDataset.load(folder / "log").take(slice(0, 500))
    replace(data, propensity=None, policies=(), policy_id=None).save(folder / "untold", overwrite=True)
    assert run(folder, "better", "--data", str(folder / "untold"), *WEIGHTS) == 0
    out = said(capsys)
    assert "The log cannot tell: there is no estimate. propensity: unknown" in out
    assert "--propensities estimated fits them" in out


def test_ctrl_c_leaves_an_earlier_report_as_it_was(folder, monkeypatch, capsys) -> None:
    assert run(folder, "better", *WEIGHTS) == 0
    before = {file.name: file.read_bytes() for file in (folder / "out").iterdir()}

    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "compare", stop)
    assert run(folder, "worse", *WEIGHTS) == 130
    assert "stopped; nothing was written" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in (folder / "out").iterdir()} == before


def made_up(gain: float, sd: float = 1.0, n: int = 400, **diagnostics: object) -> Evaluation:
    """Whose dr gains exactly `gain` over rewards of 0, with a standard deviation of exactly `sd`."""
    values = gain + sd * np.sqrt((n - 1) / n) * np.tile([-1.0, 1.0], n // 2)
    found = Diagnostics(n, **diagnostics)  # type: ignore[arg-type]
    half = 1.966 * sd / np.sqrt(n)
    within = Interval(gain - half, gain + half, 0.95, "student_t")
    one = Result("dr", gain, sd / np.sqrt(n), within, found, found.warnings(), values)
    return Evaluation("new", (one,), np.zeros(n), Models(), 0.95, "student_t", 0)


def test_the_verdict_is_sure_where_the_interval_leaves_out_zero() -> None:
    # of 400 rounds with a standard deviation of 1 the 95% interval is ± 1.966 · 1/20 = 0.0983
    assert verdict(made_up(0.099), "dr").decision == SHIP
    assert verdict(made_up(0.098), "dr").decision == UNKNOWN
    assert verdict(made_up(-0.098), "dr").decision == UNKNOWN
    assert verdict(made_up(-0.099), "dr").decision == KEEP


def test_rounds_that_are_needed_by_hand() -> None:
    # z = 1.95996 + 0.84162 = 2.80158; a gain of 0.05 with sd 1 needs (2.80158 / 0.05)² = 3139.5, up to two digits 3200
    told = verdict(made_up(0.05), "dr")
    assert told.rounds_needed == 3200
    assert told.detectable == pytest.approx(2.80158 / 20, abs=1e-5)
    assert "about 3,200 rounds" in told.sentence


def test_needed_rounds_show_the_gain_four_times_in_five() -> None:
    needed = verdict(made_up(0.05), "dr").rounds_needed
    assert needed is not None
    draws = np.random.default_rng(0).normal(0.05, 1.0, (2000, needed))
    sure = draws.mean(axis=1) > 1.96 * draws.std(axis=1) / np.sqrt(needed)
    assert sure.mean() == pytest.approx(0.8, abs=0.03)


def test_no_number_of_rounds_is_promised_for_next_to_no_difference() -> None:
    told = verdict(made_up(1e-4), "dr")
    assert told.rounds_needed is None
    assert "No log of a sensible size" in told.sentence


def test_nothing_is_decided_by_an_estimate_that_should_not_be_believed() -> None:
    told = verdict(made_up(0.5, effective_rounds=12.0), "dr")
    assert told.decision == UNKNOWN
    assert "rests on as good as 12 of 400 rounds" in told.sentence
    refused = Evaluation("new", (Result("dr", refused="no propensities"),), np.zeros(4), Models(), 0.95, "student_t", 0)
    assert verdict(refused, "dr").sentence == "The log cannot tell: there is no estimate. no propensities"


@pytest.mark.slow
def test_a_policy_as_good_as_the_old_one_is_seldom_called_better_or_worse() -> None:
    """At most as often as the level says, over 200 logs."""
    simulator = SyntheticConfig(n_actions=5).build()
    logging, sure = Uniform(), 0
    for seed in range(200):
        data = prompt_bandits.collect(simulator, logging, 500, seed=seed, progress=False)
        found = ope.evaluate(InTurn(), data, [ope.SNIPS()], progress=False)
        sure += verdict(found, "snips").decision != UNKNOWN
    assert sure <= 200 * 0.05 + 2.6 * np.sqrt(200 * 0.05 * 0.95)


class InTurn:
    """Takes every prompt in turn, whoever asks: earns on average exactly what uniform play does."""

    def action_dist(self, obs):
        return np.eye(5)[np.arange(len(obs)) % 5]


@pytest.mark.slow
def test_the_command_starts_as_a_program(folder) -> None:
    arguments = ["--data", str(folder / "log"), "--policy", str(folder / "better"), "--out", str(folder / "program")]
    made = subprocess.run(
        [sys.executable, "-m", "agents.cli.main", "evaluate", *arguments, *WEIGHTS], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert "Ship it" in made.stdout
    assert (folder / "program/report.html").is_file()
