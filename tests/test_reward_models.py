"""Reward models beyond plain regression: cross-entropy, pessimism, fresh rounds, distillation, ensembles, folds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch

import prompt_bandits
from agents.callbacks import History
from agents.cloning import distil_reward_model
from agents.cross_fitting import (
    CrossFittedActionReward,
    CrossFittedOutputReward,
    cross_fit_action_reward_model,
    cross_fit_output_reward_model,
    fit_folds,
    fold_of,
    logged_predictions,
)
from agents.ensemble_training import EnsembleTraining, fit_action_ensemble, fit_output_ensemble, resampled
from agents.ensembles import (
    ActionEnsemble,
    OutputEnsemble,
    PessimisticActionReward,
    PessimisticOutputReward,
    mean_and_spread,
)
from agents.fresh_pairs import fresh_pairs
from agents.online_rewards import fit_action_reward_model_online, fit_output_reward_model_online
from agents.protocols import QFunction
from agents.reward_losses import logistic_loss, pessimistic_penalty
from agents.reward_models import (
    ActionRewardModel,
    ByAction,
    ByOutput,
    RewardTraining,
    fit_action_reward_model,
    fit_output_reward_model,
)
from agents.reward_training import Pairs, objective
from agents.segments import segments
from prompt_bandits import BanditDataset, collect
from prompt_bandits.policies import Logits, Softmax, Uniform
from prompt_bandits.rounds import Rounds
from prompt_bandits.saving import register_saved
from prompt_bandits.synthetic import SyntheticConfig

BRIEF = RewardTraining(steps=20, patience=None)
DIMS = {"dim_features": 10, "dim_other": 5, "hidden": 8}
SAVED = (
    ActionEnsemble,
    OutputEnsemble,
    PessimisticActionReward,
    PessimisticOutputReward,
    CrossFittedActionReward,
    CrossFittedOutputReward,
)
for saved in SAVED:
    register_saved(saved)


@pytest.fixture(scope="module")
def linear():
    """Little noise, five prompts."""
    return SyntheticConfig(n_actions=5, output_noise=0.1, reward_std=0.1, mapping="linear").build()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, simulator):
    """More than a megabyte of rounds on disk."""
    return collect(simulator, Uniform(), 20_000, path=tmp_path_factory.mktemp("rounds") / "data")


def test_the_losses_by_hand() -> None:
    logit, target = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.25])
    by_hand = -(np.log(0.5) + 0.25 * np.log(1 / (1 + np.exp(-2))) + 0.75 * np.log(1 / (1 + np.exp(2)))) / 2
    assert logistic_loss(logit, target).item() == pytest.approx(by_hand, rel=1e-6)
    assert pessimistic_penalty(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 1.0])).item() == pytest.approx(1.0)


@pytest.mark.parametrize(("loss", "link"), [("mse", "identity"), ("bce", "logistic")])
def test_the_objective_is_error_plus_weighted_penalty_on_predictions(loss, link) -> None:
    model = ActionRewardModel(DIMS, link=link)
    draws = torch.from_numpy(Rounds(0, 0, 6, "fit/test").normal("x", 20).astype(np.float32))
    pairs = Pairs(draws[:, :10], draws[:, 10:15], torch.tensor([0.0, 1.0, 1.0, 0.0, 0.5, 1.0]), draws[:, 15:])
    found = objective(model, pairs, RewardTraining(loss=loss, pessimism=0.3)).value.item()
    with torch.no_grad():
        raw, other = (
            model.network.pairs(draws[:, :10], draws[:, 10:15]),
            model.network.pairs(draws[:, :10], draws[:, 15:]),
        )
    raw, other, y = raw.double().numpy(), other.double().numpy(), pairs.target.double().numpy()
    if loss == "mse":
        expected = ((raw - y) ** 2).mean() + 0.3 * (other - raw).mean()
    else:
        p, q = 1 / (1 + np.exp(-raw)), 1 / (1 + np.exp(-other))
        expected = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean() + 0.3 * (q - p).mean()
    assert found == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_gives_probabilities_close_to_the_true_ones() -> None:
    simulator = SyntheticConfig(n_actions=4, reward_type="binary", output_noise=0.1, reward_normalizer=30.0).build()
    data = collect(simulator, Uniform(), 4000)
    assert set(np.unique(data.reward)) == {0.0, 1.0}
    training = RewardTraining(steps=800, patience=None, loss="bce")
    model = fit_output_reward_model(data, training, seed=0)
    fresh = collect(simulator, Uniform(), 1000, seed=1)
    predicted, truth = model.predict(fresh.obs, fresh.require_output()), fresh.oracle["expected_reward"]
    assert 0 < predicted.min() < 0.3 < 0.7 < predicted.max() < 1
    assert np.sqrt(((predicted - truth) ** 2).mean()) < 0.12 < 0.5 * truth.std()
    by_action = fit_action_reward_model(data, replace(training, steps=50), seed=0)
    scores = by_action.scores(fresh.obs)
    assert 0 < scores.min() < scores.max() < 1
    np.testing.assert_allclose(
        by_action.predict(fresh.obs, fresh.action), scores[np.arange(1000), fresh.action], rtol=1e-4
    )


def test_the_link_is_saved_with_the_model_and_the_identity_leaves_no_trace(simulator, logged, tmp_path) -> None:
    logistic = ActionRewardModel(DIMS, link="logistic")
    back = prompt_bandits.load(prompt_bandits.save(logistic, tmp_path / "m"))
    np.testing.assert_array_equal(back.scores(logged.obs), logistic.scores(logged.obs))
    plain = ActionRewardModel(DIMS, logistic.network)
    raw = plain.scores(logged.obs).astype(float)
    np.testing.assert_allclose(logistic.scores(logged.obs), 1 / (1 + np.exp(-raw)), rtol=1e-4)
    assert set(plain.state()) == {"kind", "dims", "weights"}


@pytest.mark.parametrize("row", [0, 599])
def test_cross_entropy_refuses_other_rewards(logged, row) -> None:
    reward = np.full(600, 0.5)
    reward[row] = 1.5
    for fit in (fit_action_reward_model, fit_output_reward_model):
        for validation_fraction in (0.0, 0.5):  # wherever the row ends up
            training = replace(BRIEF, loss="bce", validation_fraction=validation_fraction)
            with pytest.raises(ValueError, match=r"reward: expected values in \[0, 1\] with loss='bce', got 0.5 … 1.5"):
                fit(replace(logged, reward=reward), training, seed=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RewardTraining(loss="mae"), "loss: expected 'mse' or 'bce', got 'mae'"),
        (lambda: RewardTraining(pessimism=-0.1), "pessimism: expected a finite number >= 0, got -0.1"),
        (lambda: RewardTraining(hidden=0), "hidden: expected >= 1, got 0"),
        (lambda: EnsembleTraining(members=1), "members: expected >= 2, got 1"),
        (lambda: EnsembleTraining(differ_by="luck"), "differ_by: expected 'rounds' or 'weights', got 'luck'"),
        (lambda: ActionRewardModel(DIMS, link="log"), "link: expected one of identity, logistic, got 'log'"),
        (lambda: PessimisticActionReward(None, -1.0), "penalty: expected a finite number >= 0, got -1.0"),
        (lambda: ActionEnsemble([None]), "models: expected at least 2, got 1"),
    ],
)
def test_wrong_settings_are_named(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_pessimism_believes_less_in_prompts_that_were_not_logged(linear) -> None:
    data = collect(linear, Softmax(Logits(np.array([30.0, 0.0, 0.0, 0.0, 0.0]))), 1000)
    assert set(data.action) == {0}
    models = [
        fit_action_reward_model(data, RewardTraining(steps=300, patience=None, pessimism=weight), seed=0)
        for weight in (0.0, 0.1)
    ]
    plain, wary = (model.scores(data.obs) for model in models)
    assert (wary[:, 1:] - wary[:, :1]).mean() < (plain[:, 1:] - plain[:, :1]).mean() - 0.2
    assert np.abs(wary[:, 0] - data.reward).mean() < 0.5


def test_negatives_of_a_model_by_action_are_allowed_prompts() -> None:
    simulator = SyntheticConfig(n_actions=6, mask_rate=0.5).build()
    data = collect(simulator, Uniform(), 300)
    index = np.arange(300)
    drawn = ByAction(data.prompts, "cpu").negative(data, index, Rounds(0, 0, 300, "fit/test"))
    action = (drawn.numpy()[:, None] == data.prompts.embedding[None]).all(2).argmax(1)
    assert data.obs.action_mask[index, action].all()
    assert len(set(action)) == 6


def test_negatives_of_a_model_by_output_are_fresh_outputs_or_another_rounds(simulator, logged) -> None:
    two, index = logged.take(slice(0, 2)), np.array([0, 1, 0, 1])
    rounds = Rounds(0, 0, 4, "fit/test")
    others = ByOutput(None, "cpu").negative(two, index, rounds).numpy()
    np.testing.assert_array_equal(others, two.require_output()[1 - index])
    fresh = ByOutput(simulator, "cpu").negative(two, index, rounds).numpy()
    obs = two.obs.take(index)
    action, _ = Uniform().sample(obs, rounds)
    np.testing.assert_array_equal(fresh, simulator.respond(obs, action, rounds).embedding)


@pytest.mark.parametrize("with_simulator", [True, False])
def test_pessimism_by_output_is_fitted_validated_and_logged(simulator, logged, with_simulator) -> None:
    history = History()
    training = RewardTraining(steps=40, log_every=20, pessimism=0.1)
    model = fit_output_reward_model(
        logged, training, seed=0, simulator=simulator if with_simulator else None, callback=history
    )
    assert set(history.logs[0]) == {"step", "loss", "error", "penalty", "validation"}
    assert history.logs[0]["loss"] == pytest.approx(
        history.logs[0]["error"] + 0.1 * history.logs[0]["penalty"], rel=1e-4
    )
    plain = fit_output_reward_model(logged, replace(training, pessimism=0.0), seed=0)
    output = logged.require_output()
    assert not np.array_equal(model.predict(logged.obs, output), plain.predict(logged.obs, output))


def test_models_fitted_on_fresh_rounds_approach_the_truth(linear) -> None:
    training = RewardTraining(steps=1000, patience=None)
    fresh = linear.observe(linear.oracle_rounds(500))
    truth = linear.action_values(fresh).value
    by_action = fit_action_reward_model_online(linear, training, seed=0)
    assert np.corrcoef(by_action.scores(fresh).ravel(), truth.ravel())[0, 1] > 0.97
    by_output = fit_output_reward_model_online(linear, training, seed=0)
    data = collect(linear, Uniform(), 500, seed=1)
    predicted = by_output.predict(data.obs, data.require_output())
    assert np.corrcoef(predicted, data.oracle["expected_reward"])[0, 1] > 0.95


@pytest.mark.parametrize("fit", [fit_action_reward_model_online, fit_output_reward_model_online])
def test_online_fits_play_the_policy_on_rounds_of_their_own(simulator, fit) -> None:
    played = []

    class Watched:
        def observe(self, rounds):
            return simulator.observe(rounds)

        def play(self, obs, action, rounds):
            played.append((rounds.scope, rounds.round_id, action))
            return simulator.play(obs, action, rounds)

    third = Softmax(Logits(np.where(np.arange(10) == 3, 50.0, 0.0)))
    training = RewardTraining(steps=70, batch_size=128, validation_fraction=0.2)
    fit(Watched(), training, policy=third, seed=0)
    assert all(scope.startswith("fit/") for scope, _, _ in played)
    assert {int(a) for _, _, action in played for a in np.unique(action)} == {3}
    label = max((scope for scope, ids, _ in played if len(ids) > 1), key=lambda scope: scope.endswith("online"))
    trained_on = np.concatenate([ids for scope, ids, _ in played if scope == label])
    np.testing.assert_array_equal(trained_on, np.arange(70 * 128))  # each once
    with pytest.raises(ValueError, match=r"pessimism: expected 0, for a policy that plays fresh rounds"):
        fit(simulator, replace(training, pessimism=0.1), seed=0)


def test_fresh_pairs_come_once_each_and_no_more_than_asked_for() -> None:
    made = []

    def make(source, rounds):
        made.append((source, len(rounds)))
        ids = torch.from_numpy(rounds.round_id)[:, None]
        return Pairs(ids, torch.full_like(ids, source), ids[:, 0])

    training = RewardTraining(steps=500, batch_size=32)
    sources = [(partial(make, k), 90.0) for k in range(9)]
    batches = list(fresh_pairs(sources, training, 0, "test"))
    assert [len(batch.target) for batch in batches] == [32] * 500
    assert torch.equal(torch.cat([batch.target for batch in batches]), torch.arange(500 * 32))
    assert [int(batch.other[0, 0]) for batch in batches] == [k // 90 for k in range(500)]
    assert sum(n for _, n in made) == 500 * 32
    made.clear()
    list(fresh_pairs([(partial(make, 0), float("inf"))], training, 0, "test"))
    assert [n for _, n in made] == [8192, 7808]


class FirstDimension:
    """A teacher whose expectation is known: r̂(x, o) = o_0 / 4."""

    def predict(self, obs, output):
        return output[:, 0] / 4


@pytest.mark.parametrize("contexts", ["logged", "fresh"])
def test_the_student_learns_the_teachers_mean_over_outputs(linear, contexts) -> None:
    only_first = collect(linear, Softmax(Logits(np.array([30.0, 0.0, 0.0, 0.0, 0.0]))), 1500)
    data = only_first if contexts == "logged" else None
    student = distil_reward_model(FirstDimension(), data, linear, RewardTraining(steps=800, patience=None), seed=0)
    obs = linear.observe(linear.oracle_rounds(300))
    outputs = linear.llm.output_distribution(obs)
    truth = (outputs.shift[:, None, 0] + outputs.prompt[None, :, 0]) / 4
    found = student.scores(obs)
    assert isinstance(student, ActionRewardModel)
    assert np.sqrt(((found - truth) ** 2).mean()) < 0.1 * truth.std()
    for action in range(5):  # of which the log shows one only
        assert np.corrcoef(found[:, action], truth[:, action])[0, 1] > 0.98


def test_distillation_asks_about_allowed_prompts_with_draws_of_its_own() -> None:
    simulator = SyntheticConfig(n_actions=6, mask_rate=0.4).build()
    data, asked = collect(simulator, Uniform(), 300), []
    known = {row.tobytes(): i for i, row in enumerate(data.obs.features())}

    class Watched:
        def respond(self, obs, action, rounds):
            rows = [known[row.tobytes()] for row in obs.features()]  # logged contexts only
            asked.append((rounds.scope, data.obs.action_mask[rows, action].all(), len(set(rows))))
            return simulator.respond(obs, action, rounds)

    distil_reward_model(FirstDimension(), data, Watched(), BRIEF, seed=0)
    assert [len({scope for scope, _, _ in asked}), all(scope.startswith("fit/") for scope, _, _ in asked)] == [2, True]
    assert all(allowed for _, allowed, _ in asked)
    assert sorted(n for _, _, n in asked) == [30, 270]  # held out, and the others
    with pytest.raises(ValueError, match=r"data: expected logged rounds, or a simulator with `observe`, got None"):
        distil_reward_model(FirstDimension(), None, Watched(), BRIEF, seed=0)
    with pytest.raises(ValueError, match=r"pessimism: expected 0, for the student"):
        distil_reward_model(FirstDimension(), data, simulator, replace(BRIEF, pessimism=1.0), seed=0)
    with pytest.raises(ValueError, match=r"reward: expected values in \[0, 1\] with loss='bce'"):
        distil_reward_model(FirstDimension(), data, simulator, replace(BRIEF, loss="bce"), seed=0)


@register_saved
@dataclass(frozen=True, eq=False)
class Constant:
    """A model of everything."""

    value: float
    saved_as: ClassVar[str] = "test_constant"

    def predict(self, obs, given):
        return np.full(len(obs), self.value)

    def scores(self, obs):
        return np.full((len(obs), obs.n_actions), self.value)


def test_mean_spread_and_lower_bound_by_hand(logged) -> None:
    obs, action = logged.obs, logged.action
    models = [Constant(1.0), Constant(2.0), Constant(6.0)]
    mean, spread = 3.0, np.sqrt((4 + 1 + 9) / 2)
    by_action, by_output = ActionEnsemble(models), OutputEnsemble(models)
    for ensemble, given in ((by_action, action), (by_output, logged.require_output())):
        np.testing.assert_allclose(ensemble.predict(obs, given), np.full(600, mean))
        np.testing.assert_allclose(ensemble.spread(obs, given), np.full(600, spread))
        np.testing.assert_allclose(ensemble.lower(obs, given, 0.5), np.full(600, mean - 0.5 * spread))
    np.testing.assert_allclose(by_action.scores(obs), np.full((600, 10), mean))
    np.testing.assert_allclose(by_action.score_spread(obs), np.full((600, 10), spread))
    wary = PessimisticActionReward(by_action, 2.0)
    assert isinstance(wary, QFunction)
    np.testing.assert_allclose(wary.scores(obs), np.full((600, 10), mean - 2 * spread))
    np.testing.assert_allclose(wary.predict(obs, action), np.full(600, mean - 2 * spread))
    of_outputs = PessimisticOutputReward(by_output, 2.0)
    np.testing.assert_allclose(of_outputs.predict(obs, logged.require_output()), np.full(600, mean - 2 * spread))


def test_running_moments_are_numpys() -> None:
    members = 1000 + Rounds(0, 0, 7, "fit/test").normal("x", 5)
    mean, spread = mean_and_spread(iter(members))
    np.testing.assert_allclose(mean, members.mean(0))
    np.testing.assert_allclose(spread, members.std(0, ddof=1))


def test_members_on_resampled_rounds_are_others_than_on_the_rounds_themselves(logged) -> None:
    training = EnsembleTraining(steps=20, patience=None, members=2)
    output = logged.require_output()
    fits = [fit_output_ensemble(logged, replace(training, differ_by=by), seed=0) for by in ("rounds", "weights")]
    assert not np.array_equal(*(fit.predict(logged.obs, output) for fit in fits))


@pytest.mark.parametrize("differ_by", ["rounds", "weights"])
def test_members_differ_and_the_ensemble_repeats_itself(logged, differ_by) -> None:
    training = EnsembleTraining(steps=20, patience=None, members=3, differ_by=differ_by)
    fits = [fit_action_ensemble(logged, training, seed=seed) for seed in (0, 0, 1)]
    assert len(fits[0].models) == 3
    assert fits[0].spread(logged.obs, logged.action).min() > 0
    scores = [fit.scores(logged.obs) for fit in fits]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_members_disagree_where_little_was_logged() -> None:
    kind = (np.arange(800) % 40 == 0).astype(int)  # one user in forty is of the second kind
    noise = Rounds(0, 0, 800, "fit/test").normal("reward")
    data = BanditDataset.from_arrays(np.eye(2)[kind], np.zeros(800, int), noise, prompts=1, output=np.ones((800, 1)))
    training = EnsembleTraining(steps=300, patience=None, members=8)
    one_each = data.take(np.array([1, 0]))  # common, rare
    for ensemble, given in (
        (fit_action_ensemble(data, training, seed=0), one_each.action),
        (fit_output_ensemble(data, training, seed=0), one_each.require_output()),
    ):
        common, rare = ensemble.spread(one_each.obs, given)
        assert rare > 2 * common


def test_a_bootstrap_draws_with_replacement_and_never_what_is_held_out(logged) -> None:
    training = EnsembleTraining(validation_fraction=0.25)
    plain = segments(logged, training, seed=5)
    drawn = resampled(plain, seed=5)
    train, held_out = next(drawn.parts).data, drawn.held_out
    assert len(train) == 450
    assert not set(train.round_id) & set(held_out.round_id)
    assert len(set(train.round_id)) == pytest.approx(450 * (1 - np.exp(-1)), abs=25)


def scored(model, data):
    given = data.action if isinstance(model, (ActionEnsemble, PessimisticActionReward)) else data.require_output()
    return model.predict(data.obs, given)


def test_everything_fitted_saves_and_loads(logged, tmp_path) -> None:
    brief = EnsembleTraining(steps=3, patience=None, members=2)
    by_action, by_output = fit_action_ensemble(logged, brief, seed=0), fit_output_ensemble(logged, brief, seed=0)
    models = [
        by_action,
        by_output,
        PessimisticActionReward(by_action, 0.7),
        PessimisticOutputReward(by_output, 0.7),
        cross_fit_action_reward_model(logged, BRIEF, folds=2, seed=3),
        cross_fit_output_reward_model(logged, BRIEF, folds=2, seed=3),
    ]
    assert {type(model) for model in models} == set(SAVED)
    for model in models:
        back = prompt_bandits.load(prompt_bandits.save(model, tmp_path / model.saved_as))
        assert type(back) is type(model)
        np.testing.assert_array_equal(scored(back, logged), scored(model, logged))
        if hasattr(model, "out_of_fold"):
            np.testing.assert_array_equal(back.out_of_fold(logged), model.out_of_fold(logged))
            assert not np.array_equal(back.out_of_fold(logged), scored(back, logged))


def test_a_rows_fold_is_its_keys_alone(logged) -> None:
    fold = fold_of(logged, 5, seed=1)
    np.testing.assert_allclose(np.bincount(fold) / 600, 0.2, atol=0.05)
    assert fold[:12].tolist() == GOLDEN
    index = np.array([17, 3, 3, 599])
    np.testing.assert_array_equal(fold_of(logged.take(index), 5, 1), fold[index])
    other_seed = replace(logged, seed=logged.seed + 1)
    for elsewhere in (fold_of(logged, 5, 2), fold_of(other_seed, 5, 1)):
        assert np.mean(elsewhere == fold) == pytest.approx(0.2, abs=0.06)


GOLDEN = [2, 2, 2, 2, 2, 0, 4, 1, 4, 4, 3, 4]


class Memory:
    """A model that knows what it has seen: 1 for a logged context, 0 for a new one."""

    def __init__(self, data) -> None:
        self.seen = {row.tobytes() for row in data.obs.context}

    def predict(self, obs, given):
        return np.array([float(row.tobytes() in self.seen) for row in obs.context])

    def scores(self, obs):
        return np.repeat(self.predict(obs, None)[:, None], obs.n_actions, axis=1)


def test_every_row_is_judged_by_a_model_that_has_not_seen_it(logged) -> None:
    def fit(data, *, seed):
        return Memory(data)

    models = fit_folds(fit, logged, 4, seed=0)
    doubled = logged.take(np.array([5, 5, 80, 301]))
    for cross in (CrossFittedActionReward(models, 0), CrossFittedOutputReward(models, 0)):
        for data in (logged, logged.split(0.6)[1], doubled):
            assert cross.out_of_fold(data).tolist() == [0.0] * len(data)
        np.testing.assert_allclose(scored(cross, logged), 0.75)
        assert sum(len(rows) for rows, _ in cross.unseen(logged)) == 600
    by_action = CrossFittedActionReward(models, 0)
    assert isinstance(by_action, QFunction)
    assert logged_predictions(by_action, doubled).tolist() == [0.0] * 4
    np.testing.assert_allclose(logged_predictions(Constant(2.0), doubled), 2.0)


def test_out_of_fold_predictions_do_not_know_the_rows_own_noise() -> None:
    draws = Rounds(0, 0, 300, "fit/test")
    data = BanditDataset.from_arrays(draws.normal("x", 8), np.zeros(300, int), draws.normal("r"), prompts=1)
    training = RewardTraining(steps=400, lr=1e-2, patience=None, validation_fraction=0.0)
    model = cross_fit_action_reward_model(data, training, folds=3, seed=0)
    assert np.corrcoef(model.predict(data.obs, data.action), data.reward)[0, 1] > 0.5
    assert abs(np.corrcoef(model.out_of_fold(data), data.reward)[0, 1]) < 0.2


def test_folds_that_cannot_be_are_named(logged) -> None:
    with pytest.raises(ValueError, match="folds: expected >= 2, got 1"):
        cross_fit_action_reward_model(logged, BRIEF, folds=1, seed=0)
    with pytest.raises(ValueError, match=r"folds: expected rounds in each of 5, got \[.*0.*\]; ask for fewer folds"):
        cross_fit_action_reward_model(logged.take(slice(0, 4)), BRIEF, folds=5, seed=0)


def test_folders_are_read_where_they_fit(folder) -> None:
    some = folder.load()
    training = RewardTraining(steps=2, patience=None, memory_mb=64)
    a, b = (cross_fit_output_reward_model(data, training, folds=2, seed=0) for data in (folder, some))
    np.testing.assert_array_equal(a.out_of_fold(some), b.out_of_fold(some))
    with pytest.raises(ValueError, match=r"data: cross-fitting needs all rounds in memory; .* memory_mb=1, got one of"):
        cross_fit_action_reward_model(folder, replace(training, memory_mb=1), seed=0)
    small = EnsembleTraining(steps=2, patience=None, memory_mb=1, members=2)
    with pytest.raises(ValueError, match="data: a bootstrap needs all rounds in memory"):
        fit_action_ensemble(folder, small, seed=0)
    fit_action_ensemble(folder, replace(small, differ_by="weights"), seed=0)
