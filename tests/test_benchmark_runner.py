"""The benchmark: presets, method names, what depends on what, and runs that survive whatever happens to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from interrupting import heeds_ctrl_c

from agents.benchmark import (
    METHODS,
    SETTINGS,
    Evaluation,
    Experiment,
    benchmark_config,
    parse_method,
    parse_seeds,
    recipes,
    stages,
)
from agents.benchmark.artefacts import Artefact, ensure, forget, sweep_drafts
from agents.benchmark.curves import CurveOf
from agents.benchmark.measuring import Measured, measured, resettable
from agents.benchmark.plan import Plan, in_order
from agents.benchmark.pool import Failure, Pool
from agents.benchmark.results import Key, read_cells
from agents.benchmark.run_folder import stored_config
from agents.benchmark.runner import Done, run_benchmark, run_stage
from agents.benchmark.variants import scaled, specialised, split_methods
from agents.callbacks import PolicyValue
from agents.learners import DSO, IPS, DirectMethod, SentenceDM
from agents.reward_models import RewardTraining
from agents.sentence_rewards import fit_sentence_reward
from agents.sentence_value import SentenceValue
from prompt_bandits.datasets.locking import FolderLocked
from prompt_bandits.policies import Uniform
from prompt_bandits.synthetic import SyntheticConfig

EVALUATION = Evaluation(contexts=400, curve_contexts=100, curve_every=10)
SMALL = {"world_config": {"n_actions": 10}, "steps_scale": 0.0015, "evaluation": EVALUATION}
TOO_MANY_CLUSTERS = "potec[n_clusters=11]"


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """As the processes of a run: sums of several threads differ in their last digits."""
    former = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(former)


def small(**changes):
    environment = SyntheticConfig(world="published", world_seed=changes.pop("seed", 0), n_actions=10)
    return Experiment(environment, **{"n": 200, "steps_scale": 0.0015, "evaluation": EVALUATION, **changes})


def made(folder: Path) -> dict[str, int]:
    """When each artefact was made."""
    return {str(f.parent.relative_to(folder)): f.stat().st_mtime_ns for f in folder.rglob("artefact.json")}


# Presets and names


def test_the_published_settings_have_their_published_values() -> None:
    swept = {name: (setting.parameter, setting.values) for name, setting in SETTINGS.items()}
    assert swept["data_size"] == ("n", (500, 1000, 2000, 4000, 8000))
    assert swept["candidate_actions"] == ("n_actions", (10, 50, 100, 500, 1000))
    assert swept["reward_noise"] == ("reward_std", (0, 1, 2, 3))
    assert swept["kernel_bandwidth"] == ("tau", (0.5, 1, 2, 4))
    assert swept["default"] == ("", (None,))
    config = benchmark_config("data_size")
    assert config.seeds == tuple(range(20))
    experiment = config.experiment(8000, 3)
    assert (experiment.n, experiment.beta, experiment.seed) == (8000, 1.0, 3)
    assert experiment.environment == SyntheticConfig(world="published", world_seed=3)


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_preset_is_a_valid_run(setting) -> None:
    config = benchmark_config(setting)
    for value, _, experiment in config.experiments():
        if config.parameter:
            owner = experiment if hasattr(experiment, config.parameter) else experiment.environment
            assert getattr(owner, config.parameter) == value


def test_seeds_are_a_range_a_list_or_one() -> None:
    assert parse_seeds("0:20") == tuple(range(20))
    assert parse_seeds("0,3,5") == (0, 3, 5)
    assert parse_seeds("7") == (7,)
    assert parse_seeds("0:2,7,1") == (0, 1, 7)
    for wrong in ("", "a", "3:3", "-1", "1:", ":3", "0:2:1", "1.5"):
        with pytest.raises(ValueError, match="seeds: expected"):
            parse_seeds(wrong)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_makes_its_learner(name) -> None:
    variant = parse_method(name)
    assert variant.name == name
    learner = variant.learner(small())
    assert (learner is None) == (name in ("no_prompt", "uniform", "logging", "optimal"))


def test_published_methods_have_published_steps_and_models() -> None:
    experiment = small(steps_scale=1.0, evaluation=Evaluation())
    assert parse_method("regression").learner(experiment) == DirectMethod.published()
    assert parse_method("ips").learner(experiment) == IPS()
    assert parse_method("dso").learner(experiment) == DSO()
    assert recipes.reward_training(experiment) == RewardTraining.published()
    assert recipes.reward_training(experiment, "pessimistic").pessimism == 0.1


def test_a_variant_sets_fields_of_its_learner_in_its_own_order() -> None:
    variant = parse_method("dso[ density_by=monte_carlo, clip=none, kernel=uniform, self_normalised=true ]")
    assert variant.name == "dso[kernel=uniform,clip=none,self_normalised=true,density_by=monte_carlo]"
    learner = variant.learner(small())
    assert (learner.kernel, learner.clip, learner.self_normalised) == ("uniform", None, True)
    assert parse_method(variant.name) == variant
    assert parse_method("potec[n_clusters=3,q_hat=two_stage]").name == "potec[n_clusters=3,q_hat=two_stage]"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dzo", "did you mean 'dso'"),
        ("dso[", "expected such as dso"),
        ("dso[tua=1]", "did you mean 'tau'"),
        ("dso[clip=x]", "clip: expected none or float, got 'x'"),
        ("ips[self_normalised=1]", "self_normalised: expected true or false, got '1'"),
        ("ips[steps=1.5]", "steps: expected int, got '1.5'"),
        ("ips[steps]", "expected name=value, got 'steps'"),
        ("ips[steps=1,steps=2]", "given twice"),
        ("ips[q_hat=two_stage]", "q_hat: expected only with methods that share"),
        ("dr[q_hat=other]", "q_hat: expected one of published"),
        ("uniform[a=1]", "expected no fields"),
    ],
)
def test_wrong_methods_are_answered_in_a_line(text, says) -> None:
    with pytest.raises(ValueError, match=f"^[^\n]*{says.replace('[', '.')}[^\n]*$"):
        parse_method(text)


def test_values_out_of_range_name_the_variant() -> None:
    with pytest.raises(ValueError, match=r"ips\[clip=-1\]: clip: expected > 0"):
        benchmark_config(methods=("ips[clip=-1]",))


def test_values_that_are_no_finite_numbers_are_refused() -> None:
    for setting in ("data_size", "reward_noise", "kernel_bandwidth"):
        for value in (float("inf"), float("nan")):
            with pytest.raises(ValueError, match="values: expected"):
                benchmark_config(setting, values=(value,))
    for name, value in {
        "beta": float("nan"),
        "reward_std_for_regression": -1.0,
        "tau": float("inf"),
        "emb_noise": -1.0,
        "steps_scale": float("inf"),
    }.items():
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            small(**{name: value})
    with pytest.raises(ValueError, match="clip: expected none or float, got 'nan'"):
        parse_method("ips[clip=nan]")


def test_values_of_fields_are_written_in_full() -> None:
    assert parse_method("ips[lr=0.12345678,clip=2.0]").name == "ips[lr=0.12345678,clip=2]"
    assert parse_method(parse_method("ips[clip=1234567.5]").name).learner(small()).clip == 1234567.5


def test_a_stated_default_makes_no_other_run() -> None:
    stated = benchmark_config(base={"n": 8000, "beta": 1, "tau": None}, world_config={"n_actions": 1000})
    assert stated == benchmark_config()
    with pytest.raises(ValueError, match="the setting data_size sweeps it"):
        benchmark_config("data_size", base={"n": 8000})


def test_curves_have_the_points_that_are_asked_for() -> None:
    experiment = small(steps_scale=1.0)
    assert parse_method("dso").learner(experiment).log_every == EVALUATION.curve_every
    assert parse_method("dso[log_every=50]").learner(experiment).log_every == 50
    assert parse_method("dso").learner(replace(experiment, evaluation=Evaluation())) == DSO()


def test_the_uniform_kernel_is_three_times_as_wide() -> None:
    tau = {name: parse_method(name).learner(small(tau=0.5)).tau for name in ("dso", "dso[kernel=uniform]")}
    assert tau == {"dso": 0.5, "dso[kernel=uniform]": 1.5}
    assert parse_method("dso[kernel=uniform]").learner(small()).tau == 3.0
    assert parse_method("dso[kernel=uniform,tau=2]").learner(small(tau=0.5)).tau == 2.0
    with pytest.raises(ValueError, match=r"dso\[tau=1\]: tau: the setting kernel_bandwidth sweeps it"):
        benchmark_config("kernel_bandwidth", methods=("dso[tau=1]",))


def test_names_may_be_separated_by_commas_outside_brackets() -> None:
    assert split_methods(("ips, dso[tau=1,clip=2]", "dr")) == ("ips", "dso[tau=1,clip=2]", "dr")
    assert split_methods(("all", "dso[tau=2]")) == (*METHODS, "dso[tau=2]")


def test_options_reach_the_methods_that_have_a_use_for_them() -> None:
    options = {"kernel": "uniform", "q_hat": "two_stage"}
    names = [specialised(name, options) for name in ("ips", "dso", "dr", "dso[kernel=laplace]", "logging")]
    assert names == ["ips", "dso[kernel=uniform]", "dr[q_hat=two_stage]", "dso[kernel=laplace]", "logging"]


def test_scaling_reaches_every_number_of_steps() -> None:
    quick = scaled(DSO(warmup_steps=100), 0.01)
    assert (quick.steps, quick.warmup_steps, quick.density_training.steps) == (200, 1, 100)
    assert scaled(IPS(steps=0), 0.01).steps == 0
    assert scaled(IPS(steps=10), 0.01).steps == 1


# What depends on what


def test_the_logging_policy_is_shared_by_what_does_not_change_it() -> None:
    one = recipes.logging_artefact(small()).name
    for same in (small(n=300), small(beta=2.0), small(tau=2.0), small(reward_std_for_regression=3.0)):
        assert recipes.logging_artefact(same).name == one
    noisy = replace(small().environment, reward_std=2.0)
    for other in (small(seed=1), small(steps_scale=1.0), replace(small(), environment=noisy)):
        assert recipes.logging_artefact(other).name != one


def test_artefacts_depend_on_what_they_are_made_of() -> None:
    experiment, noisy = small(), small(reward_std_for_regression=3.0)
    assert recipes.data_artefact(experiment).name == recipes.data_artefact(noisy).name
    assert recipes.q_hat_artefact(experiment, "published").name != recipes.q_hat_artefact(noisy, "published").name
    same = small(reward_std_for_regression=experiment.environment.reward_std)
    assert recipes.q_hat_artefact(experiment, "published").name == recipes.q_hat_artefact(same, "published").name
    policies = {
        recipes.policy_artefact(experiment, parse_method(name)).name.partition("policies/")[2].rpartition("-")[2]
        for name in ("dr", "dr[q_hat=two_stage]", "dso", "dso[tau=2]", "dso_logged")
    }
    assert len(policies) == 5


def test_methods_may_share_a_reward_model_by_way_of_sentences(tmp_path) -> None:
    model = stages.reward_model_by_action(tmp_path, small(), "sentence")
    assert isinstance(model, SentenceValue)
    needs = recipes.policy_artefact(small(), parse_method("regression_greedy[q_hat=sentence]")).needs
    assert needs["q_hat"].arguments == ("sentence",)


def test_learners_in_sentence_space_see_the_rewards_for_regression() -> None:
    for name in ("sentence_dm", "sentence_dr"):
        needs = recipes.policy_artefact(small(reward_std_for_regression=3.0), parse_method(name)).needs
        assert needs["r_hat"].stage == "sentence_r_hat"
        assert needs["r_hat"].needs["data"].recipe["reward_std"] == 3.0
        assert "r_hat" not in recipes.policy_artefact(small(), parse_method(name)).needs
        assert "r_hat" not in recipes.policy_artefact(small(reward_std_for_regression=1.0), parse_method(name)).needs


def test_methods_of_one_density_share_it() -> None:
    names = {
        recipes.density_artefact(small(), parse_method(name).learner(small())).name
        for name in ("dso", "dso_exact", "dso_dr", "dso[clip=5]")
    }
    assert len(names) == 1
    assert parse_method("dso").wants(DSO(density_by="monte_carlo")) == ()
    assert parse_method("dso").wants(DSO(control_variate=True)) == ("density", "r_hat")


def test_data_sizes_share_one_logging_policy_and_chains_begin_with_the_longest(tmp_path) -> None:
    config = benchmark_config("data_size", methods=("uniform", "ips", "regression", "dso"), seeds=(0, 1))
    plan = Plan(tmp_path)
    plan.cells(config, [])
    kinds = [task.kind for task in plan.tasks.values()]
    assert {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)} == {
        "cell": 40,
        "references": 2,
        "logging_policy": 2,
        "dataset": 10,
        "policies": 30,
        "q_hat": 10,
        "density": 10,
    }
    order = in_order(plan.tasks, workers=1)
    assert [task.experiment.seed for task in order] == [0] * 52 + [1] * 52
    assert [task.kind for task in order[:22]] == ["cell"] * 20 + ["references", "logging_policy"]
    place = {task.key: i for i, task in enumerate(order)}
    assert all(place[need] < place[task.key] for task in order if task.kind != "cell" for need in task.needs)


def test_cells_of_one_policy_wait_for_one_task_that_learns_it(tmp_path) -> None:
    config = benchmark_config("data_size", methods=("online_reinforce",), seeds=(0,))
    plan = Plan(tmp_path)
    plan.cells(config, [])
    judge, learn = [task for task in plan.tasks.values() if task.kind != "cell"]
    assert (judge.kind, learn.kind) == ("references", "policies")
    assert [task.needs for task in plan.tasks.values() if task.kind == "cell"] == [(judge.key, learn.key)] * 5


def test_finished_cells_are_not_planned(tmp_path) -> None:
    config = benchmark_config("data_size", methods=("ips", "uniform"), values=(200, 300), seeds=(0,))
    plan = Plan(tmp_path)
    plan.cells(config, [Key(200, 0, "ips"), Key(300, 0, "ips"), Key(200, 0, "uniform")])
    assert [key for key in plan.tasks if isinstance(key, Key)] == [Key(300, 0, "uniform")]


# Parts


def test_an_artefact_is_there_whole_or_not_at_all(tmp_path) -> None:
    artefact = Artefact("w", "stage", "a label", {"x": 1})

    def fail(draft: Path) -> None:
        (draft / "half").write_text("")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        ensure(artefact, tmp_path, fail, lambda path: None)
    assert not artefact.exists(tmp_path)
    assert not list(artefact.path(tmp_path).parent.iterdir())

    write = lambda text: lambda draft: (draft / "file").write_text(text)  # noqa: E731
    read = lambda path: (path / "file").read_text()  # noqa: E731
    assert ensure(artefact, tmp_path, write("1"), read) == "1"
    assert ensure(artefact, tmp_path, write("2"), read) == "1"
    assert [path.name for path in artefact.path(tmp_path).parent.iterdir()] == [artefact.path(tmp_path).name]
    assert artefact.cost(tmp_path).wall_s >= 0

    (artefact.path(tmp_path) / "file").unlink()
    with pytest.raises(ValueError, match=r"a_label-\w+: damaged .* delete the folder"):
        ensure(artefact, tmp_path, write("3"), read)


def test_of_two_processes_that_make_the_same_the_first_counts(tmp_path) -> None:
    artefact = Artefact("w", "stage", "a label", {"x": 1})
    read = lambda path: (path / "file").read_text()  # noqa: E731

    def late(draft: Path) -> None:
        assert ensure(artefact, tmp_path, lambda first: (first / "file").write_text("first"), read) == "first"
        (draft / "file").write_text("late")

    assert ensure(artefact, tmp_path, late, read) == "first"
    assert [path.name for path in artefact.path(tmp_path).parent.iterdir()] == [artefact.path(tmp_path).name]


def test_what_was_made_from_a_forgotten_artefact_is_forgotten(tmp_path) -> None:
    one = Artefact("w", "a", "one", {})
    other, two = Artefact("w", "a", "other", {}), Artefact("w", "b", "two", {}, {"x": one})
    three = Artefact("w", "c", "three", {}, {"y": two, "z": other})
    for artefact in (one, other, two, three):
        ensure(artefact, tmp_path, lambda draft: None, lambda path: None)
    assert forget(tmp_path, {one.name, "worlds/w/a/unknown"}) == {one.name, two.name, three.name}
    assert [artefact.exists(tmp_path) for artefact in (one, other, two, three)] == [False, True, False, False]


def test_only_drafts_of_processes_that_are_no_more_are_swept(tmp_path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, living = (tmp_path / f"worlds/w/stage/.draft-{process}-x" for process in (ended.pid, os.getpid()))
    for draft in (left, living):
        draft.mkdir(parents=True)
    sweep_drafts(tmp_path)
    assert not left.exists()
    assert living.exists()


@pytest.mark.skipif(not resettable(), reason="memory marks cannot be set back here")
def test_peak_memory_is_that_of_the_block() -> None:
    with measured() as large:
        np.ones(30_000_000)
    with measured() as small_one:
        np.ones(1000)
    assert large.peak_mb is not None
    assert small_one.peak_mb is not None
    assert large.peak_mb - small_one.peak_mb > 200
    assert Measured(1.0, 5.0).then(Measured(2.0, None)) == Measured(3.0, 5.0)


def test_a_curve_has_about_every_so_many_steps_and_the_last(simulator) -> None:
    curve = CurveOf(PolicyValue(simulator, 10), every=100)
    for step in (40, 80, 120, 160, 200, 240, 260):
        curve(step, {}, Uniform())
    curve(300, {}, None)
    assert [step for step, _ in curve.finished()] == [120, 240, 260]


def test_offline_methods_may_only_sample_the_llm(simulator) -> None:
    llm = stages.FrozenLLMOnly(simulator)
    assert [name for name in dir(llm) if not name.startswith("_")] == ["is_costly", "respond", "simulator"]


def test_a_killed_process_costs_its_job_only(tmp_path) -> None:
    die = "__import__('os').kill(__import__('os').getpid(), 9)"
    jobs, came = ["1 + 1", die, "2 + 2", "1 / 0", "3 + 3"], {}
    pool = Pool(eval, 1, tmp_path / "log")
    try:
        while jobs or pool.running:
            while jobs and pool.free:
                pool.start(jobs.pop(0))
            came.update(pool.results())
    finally:
        pool.close()
    assert [came.pop(job) for job in ("1 + 1", "2 + 2", "3 + 3")] == [2, 4, 6]
    assert came["1 / 0"] == Failure("ZeroDivisionError: division by zero")
    assert "SIGKILL" in came[die].error
    assert "ZeroDivisionError" in (tmp_path / "log").read_text()


# Stages


def test_regression_data_differ_in_their_rewards_only(tmp_path) -> None:
    experiment = small(reward_std_for_regression=0.0)
    log = stages.logged_data(tmp_path, experiment)
    clean = stages.logged_data(tmp_path, experiment, for_regression=True)
    assert np.array_equal(log.action, clean.action)
    assert np.array_equal(log.obs.context, clean.obs.context)
    np.testing.assert_allclose(clean.reward, clean.oracle["expected_reward"])
    assert np.std(log.reward - clean.reward) == pytest.approx(1, abs=0.15)


def test_stages_reuse_what_is_there_and_run_alone(tmp_path) -> None:
    experiment = small()
    judged = stages.evaluate(tmp_path, experiment, parse_method("dso"))
    before = made(tmp_path)
    kinds = sorted(name.split("/")[2] for name in before)
    assert kinds == ["dataset", "density", "logging_policy", "policies", "references"]

    assert len(forget(tmp_path, {recipes.policy_artefact(experiment, parse_method("dso")).name})) == 1
    again = stages.policy(tmp_path, experiment, parse_method("dso"))
    after = made(tmp_path)
    assert [name for name in before if before[name] != after[name]] == [n for n in before if "/policies/" in n]
    assert again.curve == judged.curve
    assert experiment.environment.build().policy_value(again.policy, 400) == judged.value

    logging = stages.logging_policy(tmp_path, replace(experiment, beta=3.0))
    assert logging.beta == 3.0
    assert made(tmp_path) == after
    with pytest.raises(ValueError, match="uniform: expected a method that learns"):
        stages.policy(tmp_path, experiment, parse_method("uniform"))


def test_the_sentence_reward_model_is_the_learners_own_on_other_rewards(tmp_path) -> None:
    experiment = small(reward_std_for_regression=0.0)
    learner = SentenceDM(reward_classes=("linear", "bilinear"))
    model = stages.sentence_reward_model(tmp_path, experiment, learner)
    clean = stages.logged_data(tmp_path, experiment, for_regression=True)
    own = fit_sentence_reward(clean, classes=learner.reward_classes, seed=experiment.seed)
    output = clean.require_output()
    assert np.array_equal(model.predict(clean.obs, output), own.predict(clean.obs, output))


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_every_method_fills_a_cell(name, tmp_path_factory) -> None:
    folder = tmp_path_factory.getbasetemp() / "every_method"
    judged = stages.evaluate(folder, small(), parse_method(name))
    assert -3 < judged.optimality <= 1


# Runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A sweep in which one method cannot work: there are fewer prompts than clusters."""
    folder = tmp_path_factory.mktemp("run") / "x"
    methods = ("uniform", "logging", "optimal", "ips", "dso", "regression", TOO_MANY_CLUSTERS, "online_reinforce")
    config = benchmark_config("data_size", values=(200, 300), methods=methods, seeds=(0,), **SMALL)
    return folder, config, run_benchmark(config, folder, workers=2, progress=False)


def test_a_failing_method_is_recorded_and_the_others_finish(run) -> None:
    _, config, cells = run
    assert [cell.key for cell in cells] == [Key(n, 0, method) for n in (200, 300) for method in config.methods]
    for cell in cells:
        assert (cell.status == "failed") == (cell.method == TOO_MANY_CLUSTERS)
    failed = cells[6]
    assert "n_clusters" in str(failed.error)
    assert failed.optimality is None


def test_a_cell_says_how_it_came_about(run) -> None:
    _, _, cells = run
    cell = next(cell for cell in cells if cell.key == Key(300, 0, "regression"))
    assert (cell.setting, cell.parameter, cell.world, cell.label) == ("data_size", "n", "published", "Regression")
    assert cell.config["learner"] == "DirectMethod"
    assert cell.config["steps"] == 30
    assert cell.config["log"]["n"] == 300
    assert set(cell.config["given"]) == {"data", "q_hat"}
    assert cell.environment == asdict(small().environment)
    assert cell.versions["torch"]
    assert cell.wall_s is not None
    assert cell.peak_mb is not None
    assert [step for step, _ in cell.curve] == [10, 20, 30]
    assert cell.config["artefact"].startswith("worlds/published-0/policies/regression-")


def test_cells_hold_exact_values(run) -> None:
    folder, config, cells = run
    by_key = {cell.key: cell for cell in cells}
    simulator = small().environment.build()
    assert by_key[Key(200, 0, "uniform")].optimality == 0
    assert by_key[Key(200, 0, "optimal")].optimality == 1
    assert by_key[Key(200, 0, "optimal")].policy_value == simulator.optimal_value(400).value
    assert {cell.no_prompt_value for cell in cells if cell.status == "ok"} == {simulator.no_prompt_value(400).value}
    learnt = stages.policy(folder, config.experiment(200, 0), parse_method("ips"))
    cell = by_key[Key(200, 0, "ips")]
    assert cell.policy_value == simulator.policy_value(learnt.policy, 400).value
    assert cell.optimality == pytest.approx(simulator.optimality(learnt.policy, 400))


def test_what_a_world_shares_is_fitted_once(run) -> None:
    folder, _, _ = run
    stages_made = [name.split("/")[2] for name in made(folder)]
    assert {stage: stages_made.count(stage) for stage in stages_made} == {
        "references": 1,
        "logging_policy": 1,
        "dataset": 2,
        "q_hat": 2,
        "density": 2,
        "policies": 7,
    }


def test_a_run_goes_on_with_more_and_repeats_only_what_failed(run) -> None:
    folder, config, _ = run
    lines, before = (folder / "cells.jsonl").read_text().splitlines(), made(folder)
    more = replace(config, methods=("ips", "snips", TOO_MANY_CLUSTERS), values=(200,))
    cells = run_benchmark(more, folder, workers=1, progress=False)
    assert [cell.method for cell in cells] == ["ips", "snips", TOO_MANY_CLUSTERS]
    now = (folder / "cells.jsonl").read_text().splitlines()
    assert now[: len(lines)] == lines
    assert sorted(json.loads(line)["method"] for line in now[len(lines) :]) == [TOO_MANY_CLUSTERS, "snips"]
    assert {name: made(folder)[name] for name in before} == before
    known = stored_config(folder)
    assert known is not None
    assert known.methods == (*config.methods, "snips")
    assert known.values == (200, 300)


def test_another_run_in_the_same_folder_is_refused(run) -> None:
    folder, config, _ = run
    for changes in ({"steps_scale": 1.0}, {"world": "independent"}, {"world_config": {"n_actions": 20}}):
        with pytest.raises(ValueError, match=f"{next(iter(changes))}: expected .* as in .*run.json"):
            run_benchmark(replace(config, **changes), folder)
    with pytest.raises(ValueError, match="setting: expected 'data_size'"):
        run_benchmark(benchmark_config(methods=("ips",), **SMALL), folder)
    versions = json.loads((folder / "run.json").read_text())
    text = json.dumps({**versions, "versions": {**versions["versions"], "torch": "0.1"}})
    other = folder.with_name("other_versions")
    other.mkdir()
    (other / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"torch: expected version 0\.1"):
        run_benchmark(config, other)


def test_two_runs_in_one_folder_at_a_time_are_refused(run) -> None:
    from filelock import FileLock

    folder, config, _ = run
    with FileLock(folder / ".lock"), pytest.raises(FolderLocked):
        run_benchmark(config, folder)


def test_a_stage_that_fails_fails_what_needs_it_and_is_tried_again(tmp_path) -> None:
    """`dr` needs the dataset twice: itself, and by way of its reward model."""
    config = benchmark_config(methods=("uniform", "dr"), seeds=(0,), base={"n": 200}, **SMALL)
    in_the_way = tmp_path / "worlds/published-0/dataset"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("a file where a folder should be")
    uniform, dr = run_benchmark(config, tmp_path, workers=1, progress=False)
    assert uniform.status == "ok"
    assert "dataset n200, which it needs: FileExistsError" in str(dr.error)
    in_the_way.unlink()
    _, dr = run_benchmark(config, tmp_path, workers=1, progress=False)
    assert dr.status == "ok"
    assert [cell.status for cell in read_cells(tmp_path / "cells.jsonl")] == ["ok", "ok"]

    before, experiment = made(tmp_path), config.experiment(None, 0)
    done = run_stage("policy", config, tmp_path, workers=1, progress=False, again=True)
    learnt = recipes.policy_artefact(experiment, parse_method("dr")).name
    assert done == Done([learnt], 0, ["cell of dr · world 0"], [])
    assert [name for name, when in made(tmp_path).items() if before[name] != when] == [learnt]
    assert [cell.method for cell in read_cells(tmp_path / "cells.jsonl")] == ["uniform"]


def test_an_unknown_stage_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="stage: expected one of logging-policy"):
        run_stage("other", benchmark_config(), tmp_path)


def test_a_script_without_a_guard_is_told(tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from agents.benchmark import benchmark_config, run_benchmark\n"
        "config = benchmark_config(methods=('uniform',), seeds=(0,), world_config={'n_actions': 10})\n"
        "run_benchmark(config, 'x', workers=1)\n"
    )
    ended = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert "RuntimeError: the process ended with status 1 before it could begin; expected a script" in ended.stderr
    assert 'inside `if __name__ == "__main__":`' in ended.stderr
    assert ended.stderr.count("Traceback") == 1
    assert not (tmp_path / "x/cells.jsonl").exists()


BY_COMMAND = [
    *("benchmark", "--setting", "data_size", "--values", "200", "300", "--n-actions", "10", "--steps-scale", "0.005"),
    *("--methods", "uniform", "ips", "snips", "poem", "behaviour_cloning", "--seeds", "0", "--workers", "1"),
]


def start(folder: Path) -> subprocess.Popen[str]:
    """A run in a process of its own, as soon as it has finished a cell."""
    command = [sys.executable, "-m", "agents.cli.main", *BY_COMMAND, "--out", str(folder)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeds_ctrl_c
    )
    deadline = time.monotonic() + 90
    while not (folder / "cells.jsonl").is_file() or not (folder / "cells.jsonl").read_text().count("\n"):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def go_on(folder: Path):
    config = stored_config(folder)
    assert config is not None
    return run_benchmark(config, folder, workers=1, progress=False)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_repeats_nothing(tmp_path) -> None:
    process = start(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    file = tmp_path / "cells.jsonl"
    time.sleep(0.5)  # its processes notice, and end
    before = made(tmp_path)
    finished = file.read_text().splitlines()
    assert 1 <= len(finished) < 10
    with file.open("a") as stream:
        stream.write(finished[0][:50])  # as if killed while writing
    cells = go_on(tmp_path)
    assert [cell.status for cell in cells] == ["ok"] * 10
    lines = file.read_text().splitlines()
    assert lines[: len(finished)] == finished
    assert len({(c["value"], c["world_seed"], c["method"]) for c in map(json.loads, lines)}) == len(lines) == 10
    assert {name: made(tmp_path)[name] for name in before} == before
    assert not list(tmp_path.rglob(".draft-*"))


@pytest.mark.slow
def test_ctrl_c_ends_promptly_says_how_to_go_on_and_loses_nothing(tmp_path) -> None:
    process = start(tmp_path)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - begin < 10
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "the same command goes on" in said
    assert not list(tmp_path.rglob(".draft-*"))
    finished = read_cells(tmp_path / "cells.jsonl")
    assert len(finished) < 10
    assert {cell.key for cell in finished} <= {cell.key for cell in go_on(tmp_path)}


def test_results_are_the_same_in_any_process(run, tmp_path) -> None:
    _, config, cells = run
    for cell in cells[3:5]:
        judged = stages.evaluate(tmp_path, config.experiment(cell.value, 0), parse_method(cell.method))
        assert (cell.policy_value, cell.curve) == (judged.value.value, tuple(judged.curve))
