"""The published movie experiment as a preset: what it sets, what depends on which seed, its runs, tables and plots."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_movies import made_up_folder
from pyarrow import parquet

import prompt_bandits
from agents.benchmark import (
    SETTINGS,
    Evaluation,
    benchmark_config,
    parse_method,
    recipes,
    run_benchmark,
    run_stage,
    stages,
)
from agents.benchmark.boxes import box_figure
from agents.benchmark.learning_curves import mean_curve
from agents.benchmark.plan import asked_of_stage
from agents.benchmark.plots import figures
from agents.benchmark.report import write_results
from agents.benchmark.results import Cell, Key, Run, append_cell, read_cells, read_run, summarise
from agents.benchmark.run_folder import stored_config, write_config
from agents.benchmark.tables import failures_table, results_table
from agents.cli.main import main
from agents.cli.run_arguments import RunArgs, config_of
from agents.learners import DR, DSO, IPS, OnlineREINFORCE, SentenceDM
from agents.reward_models import RewardTraining
from prompt_bandits.movie.config import MovieConfig
from prompt_bandits.policies import Softmax

EXAMPLES = sorted((Path(__file__).parent.parent / "examples/movie_description").glob("0*.py"))
EVALUATION = Evaluation(contexts=300, curve_contexts=50, curve_every=10)
STEPS_SCALE = 0.001
BASELINES = ("no_prompt", "uniform", "logging", "optimal")
METHODS = (*BASELINES, "online_reinforce", "ips", "dso")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As the processes of a run: sums of several threads differ in their last digits."""
    former = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(former)


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> str:
    return str(made_up_folder(tmp_path_factory.mktemp("movie") / "assets").path)


def small(assets: str, **changes):
    """A tiny run."""
    asked = {"methods": METHODS, "seeds": (0, 1), "fit_seeds": (0, 1), "base": {"n": 100}, "steps_scale": STEPS_SCALE}
    return benchmark_config("movie", world_config={"assets": assets}, evaluation=EVALUATION, **{**asked, **changes})


def learner(name: str, setting: str = "movie_published", **base):
    return parse_method(name).learner(benchmark_config(setting, base=base).experiment(None, 0, 0))


# What the preset sets


def test_the_published_movie_experiment_has_its_published_values() -> None:
    config = benchmark_config("movie_published")
    assert (config.seeds, config.fit_seeds, config.values) == (tuple(range(5)), tuple(range(5)), (None,))
    experiment = config.experiment(None, 3, 4)
    assert (experiment.n, experiment.beta, experiment.logging) == (10_000, 0.2, "online")
    assert (experiment.seed, experiment.log_seed, experiment.learner_seed) == (0, 3, 4)
    assert experiment.environment == MovieConfig(reward_std=0.05)
    published = {"optimizer": "Adagrad", "lr": 8e-4, "steps": 20_000, "batch_size": 32, "warmup_steps": 1000}
    for name in ("regression", "ips", "dr", "potec", "dso"):
        assert {field: getattr(learner(name), field) for field in published} == published, name
    dso = learner("dso")
    assert (dso.kernel, dso.tau, dso.emb_noise, dso.clip) == ("gaussian", 1.0, 0.0, 200.0)
    assert (dso.density_training.steps, dso.density_training.lr) == (1000, 1e-4)
    assert learner("potec").n_clusters == 10
    online = learner("online_reinforce")
    assert (online.optimizer, online.lr, online.steps, online.warmup_steps) == ("Adam", 5e-4, 2000, 1000)
    assert recipes.reward_training(experiment) == replace(RewardTraining.published(), steps=1000)
    assert {"no_prompt", "uniform", "logging", "optimal", "regression_greedy", "sentence_dm"} <= {*config.methods}


def test_our_own_learner_keeps_its_settings() -> None:
    assert learner("sentence_dm") == SentenceDM()


def test_the_movie_setting_trains_as_in_the_synthetic_world_and_knows_the_scale_of_its_sentences() -> None:
    for name in ("ips", "dr"):
        own = learner(name, "movie")
        start = {"ips": IPS(), "dr": DR.published()}[name]
        assert replace(own, warmup_steps=0, log_every=start.log_every) == start
    assert learner("dso", "movie").tau == learner("sentence_dr", "movie").tau == 0.1
    assert learner("online_reinforce", "movie").steps == 20_000
    many = learner("dso_64_draws", "movie")
    assert (many.n_inner, many.density_by, many.control_variate) == (64, "monte_carlo", False)
    assert replace(many, control_variate=True) == learner("dso_dr_64_draws", "movie")


def test_what_the_published_settings_train_too_little_can_be_trained_more() -> None:
    experiment = benchmark_config("movie_published", base={"predictor_steps": 30_000}).experiment(None, 0, 0)
    assert recipes.reward_training(experiment).steps == 30_000
    assert parse_method("dso").learner(experiment).density_training.steps == 30_000
    assert recipes.reward_training(experiment, "quick") == RewardTraining()
    adam = learner("ips", optimizer="Adam", lr=5e-4, warmup_steps=0)
    assert replace(adam, log_every=IPS().log_every) == IPS()


def test_fields_in_brackets_go_before_those_of_the_preset() -> None:
    own = learner("dso[tau=median,emb_noise=0.5,optimizer=Adam,warmup_steps=0]")
    assert (own.tau, own.emb_noise, own.optimizer, own.lr, own.warmup_steps) == ("median", 0.5, "Adam", 8e-4, 0)
    assert learner("online_reinforce[steps=7]").steps == 7


def test_the_synthetic_settings_are_as_they_were() -> None:
    experiment = benchmark_config("default").experiment(None, 2)
    assert (experiment.logging, experiment.log_seed, experiment.learner_seed) == ("regression", 2, 2)
    assert experiment.judged is experiment.environment
    assert parse_method("dso").learner(experiment) == DSO()
    assert parse_method("online_reinforce").learner(experiment) == OnlineREINFORCE()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fit_seeds": ()}, "fit_seeds: expected at least one"),
        ({"world": "published"}, "world: expected movie, got 'published'"),
        ({"world_config": {"split": "test"}}, "split: expected a field of MovieConfig other than split"),
        ({"world_config": {"mapping": "linear"}}, "mapping: expected a field of MovieConfig"),
        ({"world_config": {"reward_std": -1}}, "reward_std: expected a finite number >= 0"),
        ({"base": {"optimizer": "Adagard"}}, "regression: optimizer: expected the name of a class in torch.optim"),
        ({"base": {"predictor_steps": -1}}, "predictor_steps: expected a finite number >= 0"),
        ({"base": {"logging": "else"}}, "logging: expected regression or online, got 'else'"),
        ({"setting": "default", "fit_seeds": (0, 1)}, "fit_seeds: expected none, since in the setting default"),
    ],
)
def test_wrong_values_are_answered_in_a_line(changes, says) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}[^\n]*$"):
        benchmark_config(**{"setting": "movie", **changes})


# What depends on which seed


def test_a_cell_has_the_seeds_that_its_method_depends_on(assets) -> None:
    keys = list(small(assets).cells())
    assert keys[:5] == [*(Key(None, 0, name) for name in BASELINES), Key(None, 0, "online_reinforce", None, 0)]
    assert [key[3:] for key in keys if key.method == "online_reinforce"] == [(None, 0), (None, 1)]
    assert [key[3:] for key in keys if key.method == "dso"] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len(keys) == 4 + 2 + 2 * 4
    assert Key(None, 0, "ips", 3, 1).where == "world 0 · dataset 3 · optimiser 1"


def test_artefacts_are_shared_by_all_seeds_that_they_do_not_depend_on(assets) -> None:
    config = small(assets)
    experiments = [experiment for _, _, experiment in config.experiments()]
    assert [(e.data_seed, e.fit_seed) for e in experiments] == [(0, 0), (0, 1), (1, 0), (1, 1)]

    def distinct(artefact) -> int:
        return len({artefact(experiment).name for experiment in experiments})

    assert distinct(recipes.logging_artefact) == 1
    for of_log in (recipes.data_artefact, recipes.q_hat_artefact, recipes.r_hat_artefact):
        assert distinct(of_log) == 2
    assert distinct(lambda e: recipes.density_artefact(e, parse_method("dso").learner(e))) == 2
    assert distinct(lambda e: recipes.policy_artefact(e, parse_method("online_reinforce"))) == 2
    assert distinct(lambda e: recipes.policy_artefact(e, parse_method("ips"))) == 4
    other = replace(experiments[0], environment=MovieConfig(assets=assets, world_seed=1))
    assert recipes.logging_artefact(other).name != recipes.logging_artefact(experiments[0]).name


def test_the_logging_policy_is_a_softer_version_of_the_online_one(assets, tmp_path) -> None:
    experiment = small(assets).experiment(None, 1, 1)
    logging = stages.logging_policy(tmp_path, experiment)
    simulator = experiment.environment.build()
    online = parse_method("online_reinforce").learner(experiment).fit(seed=0, simulator=simulator)
    obs = simulator.observe(simulator.rounds(0, 0, 20))
    assert logging.beta == 0.2
    np.testing.assert_array_equal(logging.action_dist(obs), Softmax(online, 0.2).action_dist(obs))


def test_the_log_is_of_the_dataset_seed_and_the_learner_of_the_optimiser_seed(assets, tmp_path) -> None:
    experiment = small(assets).experiment(None, 5, 7)
    data = stages.logged_data(tmp_path, experiment)
    train = experiment.environment.build()
    again = prompt_bandits.collect(train, stages.logging_policy(tmp_path, experiment), 100, seed=5)
    assert np.array_equal(data.action, again.action)
    assert np.array_equal(data.reward, again.reward)
    learnt = stages.policy(tmp_path, experiment, parse_method("ips")).policy
    own = parse_method("ips").learner(experiment).fit(data, seed=7)
    np.testing.assert_array_equal(learnt.action_dist(data.obs), own.action_dist(data.obs))


def test_policies_are_judged_for_users_that_nobody_learnt_from(assets, tmp_path) -> None:
    experiment = small(assets).experiment(None, 0, 0)
    train, test = (MovieConfig(assets=assets, split=split).build() for split in ("train", "test"))
    uniform = stages.evaluate(tmp_path, experiment, parse_method("uniform"))
    assert uniform.value == test.uniform_value(300)
    assert uniform.beside.optimal == test.optimal_value(300)
    assert uniform.gain == test.uniform_value(300).value - test.no_prompt_value(300).value
    learnt = stages.policy(tmp_path, experiment, parse_method("ips"))
    assert learnt.curve[-1][1] == test.policy_value(learnt.policy, 50).value
    users = {int(user) for user in stages.logged_data(tmp_path, experiment).obs.user_id}
    assert users <= {*train.source.users}
    assert not users & {*test.source.users}


def test_where_an_llm_must_be_asked_the_optimum_is_of_few_contexts(assets) -> None:
    class Asked:
        costly = True

        def __init__(self, llm) -> None:
            self.generate = llm.generate

    simulator = MovieConfig(assets=assets).build()
    assert stages.contexts_of_optimum(simulator, EVALUATION) == 300
    assert stages.contexts_of_optimum(replace(simulator, llm=Asked(simulator.llm)), EVALUATION) == 100


# Runs


@pytest.fixture(scope="module")
def run(assets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "movie"
    config = small(assets)
    return folder, config, run_benchmark(config, folder, workers=1, progress=False)


def made(folder: Path) -> dict[str, int]:
    """When each artefact was made."""
    return {str(f.parent.relative_to(folder)): f.stat().st_mtime_ns for f in folder.rglob("artefact.json")}


def test_a_run_fills_every_cell_once(run) -> None:
    folder, config, cells = run
    assert [cell.key for cell in cells] == list(config.cells())
    assert {cell.error for cell in cells} == {None}
    kinds = [name.split("/")[2] for name in made(folder)]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "references": 1,
        "logging_policy": 1,
        "dataset": 2,
        "density": 2,
        "policies": 2 + 2 * 4,
    }


def test_cells_hold_gains_over_no_prompt(run) -> None:
    _, _, cells = run
    by_key = {cell.key: cell for cell in cells}
    assert by_key[Key(None, 0, "no_prompt")].gain == 0
    judge = MovieConfig(assets=cells[0].environment["assets"], split="test").build()
    best = by_key[Key(None, 0, "optimal")]
    assert best.gain == judge.optimal_value(300).value - judge.no_prompt_value(300).value
    assert best.gain == max(cell.gain for cell in cells)
    values = {key: cell.gain for key, cell in by_key.items() if key.method == "ips"}
    assert len({*values.values()}) == 4  # both seeds matter
    cell = by_key[Key(None, 0, "dso", 1, 0)]
    assert (cell.world, cell.config["optimizer"], cell.config["log"]["n"]) == ("movie", "Adam", 100)
    assert cell.config["artefact"].startswith("worlds/movie-0/policies/data1_fit0_dso-")


def test_a_run_goes_on_with_more_seeds_and_repeats_nothing(run) -> None:
    folder, config, cells = run
    before, lines = made(folder), (folder / "cells.jsonl").read_text()
    assert run_benchmark(config, folder, workers=1, progress=False) == cells
    more = replace(config, methods=("uniform", "ips"), seeds=(1,), fit_seeds=(2,))
    new = run_benchmark(more, folder, workers=1, progress=False)
    assert [cell.key for cell in new] == [Key(None, 0, "uniform"), Key(None, 0, "ips", 1, 2)]
    assert (folder / "cells.jsonl").read_text().startswith(lines)
    assert {name: made(folder)[name] for name in before} == before
    assert {name.split("/")[3][:14] for name in made(folder).keys() - before.keys()} == {"data1_fit2_ips"}
    known = stored_config(folder)
    assert (known.seeds, known.fit_seeds, known.methods) == ((0, 1), (0, 1, 2), METHODS)


def test_stages_make_what_the_published_steps_make(assets) -> None:
    config = small(assets, methods=("uniform", "ips", "dr", "dso"), seeds=(1,), fit_seeds=(0,))
    found = {stage: [artefact.stage for _, artefact in asked_of_stage(stage, config)] for stage in recipes.STAGES[:4]}
    assert found == {
        "logging-policy": ["logging_policy"],
        "logged-data": ["dataset", "q_hat"],
        "density": ["density"],
        "policy": ["policies"] * 3,
    }
    with_r_hat = asked_of_stage("logged-data", small(assets, methods=("dso_dr",)))
    assert [artefact.stage for _, artefact in with_r_hat] == ["dataset", "q_hat", "r_hat"] * 2


@pytest.mark.slow
def test_stages_run_alone_and_again(assets, tmp_path) -> None:
    config = small(assets, methods=("ips", "dr"), seeds=(1,), fit_seeds=(0,))

    def stage(name: str, **options):
        return run_stage(name, config, tmp_path, workers=1, progress=False, **options)

    assert [name.split("/")[2] for name in stage("logging-policy").artefacts] == ["logging_policy"]
    assert [name.split("/")[2] for name in stage("logged-data").artefacts] == ["dataset", "q_hat"]
    assert stage("density").artefacts == []
    assert [name.split("/")[2] for name in stage("policy").artefacts] == ["policies"] * 2
    assert stage("policy-value").cells == 2
    before = made(tmp_path)
    done = stage("policy", again=True)
    assert done.forgotten == [f"cell of {name} · world 0 · dataset 1 · optimiser 0" for name in ("ips", "dr")]
    assert {name for name, when in made(tmp_path).items() if before[name] != when} == {*done.artefacts}
    assert read_cells(tmp_path / "cells.jsonl") == []


def test_other_assets_are_another_run(assets, tmp_path) -> None:
    own = made_up_folder(tmp_path / "assets").path
    config = small(str(own))
    (tmp_path / "run").mkdir()
    write_config(tmp_path / "run", config)
    write_config(tmp_path / "run", config)
    manifest = json.loads((own / "manifest.json").read_text())
    (own / "manifest.json").write_text(json.dumps({**manifest, "more": 1}))
    with pytest.raises(ValueError, match=r"assets: expected version \w+ as in .*run.json, got"):
        write_config(tmp_path / "run", config)


# What is shown


def cell(method: str, gain: float, data_seed: int | None = None, fit_seed: int | None = None, **more) -> Cell:
    fields = {"setting": "movie", "parameter": "", "value": None, "world": "movie", "world_seed": 0, "label": method}
    numbers = {"policy_value": gain + 2, "no_prompt_value": 2.0, "uniform_value": 2.0, "optimal_value": 4.0}
    curve = ((10, 2.0), (20, gain + 2)) if fit_seed is not None else ()
    return Cell(
        **{**fields, **numbers, "optimality": gain / 2, "curve": curve, **more},
        method=method,
        data_seed=data_seed,
        fit_seed=fit_seed,
    )


CELLS = (
    cell("no_prompt", 0.0),
    cell("optimal", 2.0),
    *(cell("online_reinforce", gain, None, fit) for fit, gain in enumerate((0.5, 0.7))),
    *(cell("dso", gain, *divmod(i, 2)) for i, gain in enumerate((0.1, 0.3, 0.5, 0.7))),
)


def shown(tmp_path: Path, cells=CELLS, **settings) -> Run:
    config = benchmark_config("movie", methods=("no_prompt", "optimal", "online_reinforce", "dso"), fit_seeds=(0, 1))
    (tmp_path / "run.json").write_text(json.dumps({**config.to_json(), **settings}))
    for one in cells:
        append_cell(tmp_path / "cells.jsonl", one)
    return read_run(tmp_path)


def test_the_standard_error_is_over_datasets_each_with_the_mean_of_its_optimisers(tmp_path) -> None:
    rows = {row.method: row for row in summarise(CELLS)}
    assert rows["dso"].gain.value == pytest.approx(0.4)
    assert rows["dso"].gain.se == pytest.approx(0.2)  # of 0.2 and 0.6
    assert (rows["dso"].gain.n, rows["dso"].n_ok) == (2, 4)
    assert rows["online_reinforce"].gain.se == pytest.approx(0.1)
    assert rows["optimal"].gain.se == float("inf")
    lines = str(results_table(shown(tmp_path))).splitlines()
    texts = [re.split(r" +\| +", line.strip("| ")) for line in lines]
    assert texts[0][:4] == ["method", "runs", "gain over no prompt", "optimality"]
    assert texts[2][:3] == ["no_prompt", "1", "0.000"]
    assert texts[5][:5] == ["dso", "4", "0.400 ± 0.200", "0.200 ± 0.100", "2.400 ± 0.200"]


def test_the_box_plot_has_a_box_a_method_and_a_dot_a_cell(tmp_path) -> None:
    run = shown(tmp_path)
    assert set(figures(run)) == {"gain", "learning_curves"}
    (ax,) = box_figure(run).axes
    names = [text.get_text().split("\n")[0] for text in ax.get_yticklabels()]
    assert names == ["dso", "online_reinforce", "optimal"]  # the best on top; no prompt is the line at 0
    dots = sorted((y, x) for line in ax.get_lines() if line.get_marker() == "o" for x, y in line.get_xydata())
    assert [x for _, x in dots] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.5, 0.7])
    assert len({y for y, _ in dots}) == 4  # a row a dataset, or an optimiser where there is none
    assert ax.get_xlabel() == "gain over no prompt, V(π) − V(no prompt)"
    (line,) = ax.collections  # of what has one value
    assert line.get_segments()[0][0][0] == 2.0


def test_learning_curves_are_gains(tmp_path) -> None:
    dso = [cell for cell in CELLS if cell.method == "dso"]
    assert [(step, round(mean.value, 9)) for step, mean in mean_curve(dso)] == [(10, 0.0), (20, 0.4)]


def test_the_report_speaks_of_gains_and_counts_what_is_missing(tmp_path) -> None:
    failed = cell("dso", 0.0, 2, 1, status="failed", error="ValueError: no")
    failed = replace(failed, **dict.fromkeys(("policy_value", "no_prompt_value", "optimality")), curve=())
    run = shown(tmp_path, (*CELLS, failed), seeds=[0, 1, 2], base={"predictor_steps": 5000})
    assert run.n_asked == 1 + 1 + 2 + 3 * 2
    write_results(tmp_path)
    page = (tmp_path / "report.html").read_text()
    facts = re.findall(r"<li><b>(\d+)</b> (.*)</li>", page)
    assert facts == [
        ("4", "methods"),
        ("3", "dataset seeds"),
        ("2", "optimiser seeds"),
        ("8", "cells done"),
        ("1", "failed"),
        ("1", "to come"),
    ]
    assert "The gain is V(π) − V(no prompt)" in page
    assert "Not the published settings (predictor_steps = 5000)." in page
    assert 'id="paired"' not in page
    assert [entry.text for entry in failures_table(run).rows[0]] == ["dso", "2", "1", "ValueError: no"]
    rows = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert [(row["data_seed"], row["fit_seed"]) for row in rows[:5]] == [
        *[(None, None)] * 2,
        (None, 0),
        (None, 1),
        (0, 0),
    ]
    assert rows[5]["gain"] == CELLS[5].gain
    assert (tmp_path / "plots/gain.png").is_file()


def test_a_finished_cell_has_a_gain() -> None:
    with pytest.raises(ValueError, match="gain: expected a number in a cell that is ok"):
        cell("dso", 0.1, no_prompt_value=None)


def test_what_earlier_versions_wrote_is_read(tmp_path) -> None:
    later = ("data_seed", "fit_seed", "no_prompt_value")
    old = replace(cell("dso", 0.1), setting="default", world="published", no_prompt_value=None)
    line = json.dumps({name: value for name, value in json.loads(old.to_json()).items() if name not in later})
    assert Cell.from_json(line) == old
    config = benchmark_config("default", seeds=(0,))
    write_config(tmp_path, config)
    values = json.loads((tmp_path / "run.json").read_text())
    del values["fit_seeds"], values["evaluation"]["costly_contexts"]
    (tmp_path / "run.json").write_text(json.dumps(values))
    assert stored_config(tmp_path) == config
    write_config(tmp_path, replace(config, seeds=(1,)))
    assert stored_config(tmp_path).seeds == (0, 1)


# The command, and the examples


def test_arguments_reach_the_run(assets) -> None:
    args = RunArgs(
        Path("x"),
        setting="movie",
        seeds="0:2",
        fit_seeds="3,4",
        n=50,
        n_actions=5,
        environment=(f"assets={assets}", "world_seed=2"),
        predictor_steps=500,
        optimizer="Adam",
        lr=0.001,
    )
    config = config_of(args, None)
    assert (config.seeds, config.fit_seeds, config.world) == ((0, 1), (3, 4), "movie")
    experiment = config.experiment(None, 1, 3)
    assert experiment.environment == MovieConfig(assets=assets, n_actions=5, world_seed=2)
    assert (experiment.n, experiment.predictor_steps) == (50, 500)
    ips = parse_method("ips").learner(experiment)
    assert (ips.optimizer, ips.lr) == ("Adam", 0.001)
    assert config_of(RunArgs(Path("x"), n=60), config).fit_seeds == (3, 4)
    quick = config_of(RunArgs(Path("x"), setting="movie", quick=True), None)
    assert (quick.seeds, quick.fit_seeds, quick.steps_scale) == ((0,), (0,), 0.01)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--setting", "movie", "--world", "published"], "world: expected movie"),
        (["--setting", "movie", "--fit-seeds", "all"], "fit_seeds: expected such as 0:20"),
        (["--setting", "movie", "--environment", "mapping=linear"], "mapping: MovieConfig has no such field"),
        (["--setting", "movie", "--environment", "assets=nowhere"], "nowhere: expected a folder of assets, found none"),
        (["--setting", "default", "--fit-seeds", "0:2"], "fit_seeds: expected none, since in the setting default"),
    ],
)
def test_wrong_arguments_give_one_line(arguments, says, capsys, tmp_path) -> None:
    assert main(["benchmark", *arguments, "--out", str(tmp_path / "x")]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "x/run.json").exists()


@pytest.mark.slow
def test_the_command_runs_the_preset(assets, capsys, tmp_path) -> None:
    tiny = ["--setting", "movie", "--environment", f"assets={assets}", "--n", "50", "--steps-scale", "0.0005"]
    some = ["--methods", "no_prompt", "regression", "--seeds", "0", "--fit-seeds", "1", "--workers", "1"]
    assert main(["benchmark", *tiny, *some, "--out", str(tmp_path)]) == 0
    assert "gain over no prompt" in capsys.readouterr().out
    assert [c.key[2:] for c in read_cells(tmp_path / "cells.jsonl")] == [
        ("no_prompt", None, None),
        ("regression", 0, 1),
    ]
    assert main(["density", "--methods", "dso", "--out", str(tmp_path)]) == 0
    assert "/density/data0_gaussian_tau0.1-" in capsys.readouterr().out


@pytest.mark.slow
def test_every_column_of_the_preset_fills_a_cell(assets, tmp_path) -> None:
    methods = [name.replace("potec", "potec[n_clusters=3]") for name in SETTINGS["movie"].methods]
    cells = run_benchmark(
        small(assets, methods=tuple(methods), seeds=(0,), fit_seeds=(0,)), tmp_path, workers=1, progress=False
    )
    assert [(cell.method, cell.error) for cell in cells] == [(name, None) for name in methods]


@pytest.mark.slow
def test_the_examples_are_the_stages_in_order(assets, tmp_path) -> None:
    assert [file.stem for file in EXAMPLES] == [
        "01_logging_policy",
        "02_logged_data",
        "03_density",
        "04_policy",
        "05_evaluate",
    ]
    said = ""
    for file in EXAMPLES:
        tiny = ["--assets", assets, "--n", "100", "--steps-scale", str(STEPS_SCALE), "--out", str(tmp_path)]
        said = subprocess.run([sys.executable, str(file), *tiny], capture_output=True, text=True, check=True).stdout
    names = [line.split()[0] for line in said.splitlines()]
    assert names == ["method", "no_prompt", "uniform", "logging", "dso", "optimal"]
    kinds = sorted(file.parts[-3] for file in tmp_path.rglob("artefact.json"))
    assert kinds == ["dataset", "density", "logging_policy", "policies", "q_hat", "references"]
