"""Unknown propensities: that the estimates are those of the logging policy, honest and calibrated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

import prompt_bandits
from agents import propensity
from agents.calibration import calibration
from agents.learners import IPS
from agents.propensity import (
    PropensityModel,
    PropensityTraining,
    estimate_propensities,
    fit_propensity_model,
)
from prompt_bandits import BanditDataset, collect
from prompt_bandits.acting import prob
from prompt_bandits.policies import Logits, OracleScore, Softmax, Uniform
from prompt_bandits.protocols import Policy
from prompt_bandits.saving import register_saved
from prompt_bandits.synthetic import SyntheticConfig

register_saved(PropensityModel)
BRIEF = PropensityTraining(steps=20, patience=None)


def unknown(data: BanditDataset) -> BanditDataset:
    """The rounds without what is known of their logging."""
    return replace(data, propensity=None, policies=())


@pytest.fixture(scope="module")
def sharp():
    """4000 rounds of a logging policy with clear preferences."""
    simulator = SyntheticConfig(n_actions=10).build()
    return simulator, collect(simulator, Softmax(OracleScore(simulator), beta=3.0), 4000, seed=1)


@pytest.fixture(scope="module")
def model(sharp) -> PropensityModel:
    return fit_propensity_model(unknown(sharp[1]), PropensityTraining(steps=1500, lr=3e-3), seed=0)


def test_estimates_approach_the_true_propensities(sharp, model) -> None:
    _, data = sharp
    estimated = estimate_propensities(unknown(data), seed=0, model=model)
    np.testing.assert_array_equal(estimated.propensity, model.out_of_fold(data))
    assert np.corrcoef(np.log(estimated.propensity), np.log(data.propensity))[0, 1] > 0.9
    assert np.abs(np.log(estimated.propensity / data.propensity)).mean() < 0.25
    likelihood = [np.log(p).mean() for p in (estimated.propensity, data.propensity)]
    assert likelihood[0] == pytest.approx(likelihood[1], abs=0.05)
    assert likelihood[0] > np.log(0.1) + 0.15  # of the uniform policy
    carried = prob(estimated.require_logging_policy(), data.obs, data.action)
    assert np.corrcoef(np.log(carried), np.log(data.propensity))[0, 1] > 0.9


def test_everything_else_stays_and_what_was_known_is_replaced(sharp, model) -> None:
    _, data = sharp
    both = BanditDataset.concat([data, replace(data, policies=(Uniform(),), seed=data.seed + 1)])
    estimated = estimate_propensities(both, seed=0, model=model)
    assert estimated.policy_id is None
    assert estimated.policies == (model.policy,)
    assert not np.array_equal(estimated.propensity, both.propensity)
    for name in ("action", "reward", "round_id", "seed"):
        assert getattr(estimated, name) is getattr(both, name)
    assert estimated.obs is both.obs


def test_a_rounds_propensity_is_by_the_policy_that_has_not_seen_it(sharp, model) -> None:
    _, data = sharp
    whole = model.out_of_fold(data)
    np.testing.assert_allclose(model.out_of_fold(data.take(slice(500, 700))), whole[500:700], rtol=1e-5)
    seen = np.zeros(len(data), int)
    for rows, policy in model.unseen(data):
        seen[rows] += 1
        np.testing.assert_allclose(prob(policy, data.obs.take(rows), data.action[rows]), whole[rows], rtol=1e-5)
    assert (seen == 1).all()
    assert np.log(whole).mean() < np.log(prob(model, data.obs, data.action)).mean()


def test_each_fold_is_fitted_without_its_rounds(logged, monkeypatch) -> None:
    fitted = []

    class Spy(PropensityTraining):
        def fit(self, data, *, seed, **kwargs):
            fitted.append(data.round_id)
            return super().fit(data, seed=seed, **kwargs)

    training = Spy(steps=5, patience=None)
    model = fit_propensity_model(unknown(logged), training, folds=3, seed=0)
    assert len(fitted) == 4
    for (rows, _), ids in zip(model.unseen(logged), fitted[:3], strict=True):
        assert set(ids) == set(logged.round_id) - set(logged.round_id[rows])
    assert len(fitted[3]) == 600


class Told:
    """A network whose logits are the context times 5."""

    asked = 0

    def scores(self, obs):
        self.asked += len(obs)
        return 5 * obs.context


def test_the_temperature_is_the_most_likely_one(monkeypatch) -> None:
    """Logged by softmax(2x), judged by logits 5x: the factor is 0.4."""
    rounds = prompt_bandits.Rounds(0, 0, 6000, "fit/test")
    context = rounds.normal("x", 3)
    table = np.exp(2 * context).cumsum(1)
    action = (table < rounds.uniform("a")[:, None] * table[:, -1:]).sum(1)
    data = BanditDataset.from_arrays(context, action, np.zeros(6000), prompts=3)
    assert propensity._inverse_temperature([Told(), Told()], data, 0) == pytest.approx(0.4, rel=0.05)
    monkeypatch.setattr(propensity, "_CELLS", 3 * 3000)
    few = [Told(), Told()]
    assert propensity._inverse_temperature(few, data, 0) == pytest.approx(0.4, rel=0.08)
    assert sum(one.asked for one in few) == 3000
    left_out = np.where(context.argmax(1) == action, context.argmin(1), context.argmax(1))
    masked = replace(data, obs=replace(data.obs, action_mask=np.arange(3) != left_out[:, None]))
    allowed = masked.obs.action_mask
    by_hand = min(
        np.linspace(0.01, 3, 1200),
        key=lambda beta: (
            -np.log(
                np.exp(beta * 5 * context)[np.arange(6000), action] / (np.exp(beta * 5 * context) * allowed).sum(1)
            ).sum()
        ),
    )
    monkeypatch.undo()
    assert propensity._inverse_temperature([Told()] * 2, masked, 0) == pytest.approx(by_hand, abs=0.005)


def test_nothing_is_less_likely_than_the_floor(sharp) -> None:
    _, data = sharp
    never = replace(data, obs=replace(data.obs, context=np.full((4000, 10), 1e4, np.float32), query=None))

    class Certain:
        def scores(self, obs):
            return np.tile(np.where(np.arange(10) == 3, 1e6, 0.0), (len(obs), 1))

    policy = propensity._calibrated(Certain(), 1.0, 1e-4)
    dist = policy.action_dist(never.obs)
    np.testing.assert_allclose(dist[:, 4], 1e-4 / 10)
    np.testing.assert_allclose(dist.sum(1), 1)


def test_masked_prompts_have_no_probability_and_learners_take_the_estimates() -> None:
    simulator = SyntheticConfig(n_actions=6, mask_rate=0.4).build()
    data = collect(simulator, Uniform(), 500)
    with pytest.raises(ValueError, match="propensity: unknown"):
        IPS(steps=2).fit(unknown(data), seed=0)
    estimated = estimate_propensities(unknown(data), PropensityTraining(steps=60), folds=2, seed=0)
    assert estimated.require_logging_policy().action_dist(data.obs)[~data.obs.action_mask].max() == 0
    np.testing.assert_allclose(estimated.propensity, data.propensity, rtol=0.5)
    assert isinstance(IPS(steps=2).fit(estimated, seed=0), Policy)


def test_a_model_saves_loads_and_repeats_itself(logged, tmp_path) -> None:
    fits = [fit_propensity_model(logged, BRIEF, folds=2, seed=seed) for seed in (0, 0, 1)]
    propensities = [fit.out_of_fold(logged) for fit in fits]
    np.testing.assert_array_equal(propensities[0], propensities[1])
    assert not np.array_equal(propensities[0], propensities[2])
    back = prompt_bandits.load(prompt_bandits.save(fits[0], tmp_path / "m"))
    np.testing.assert_array_equal(back.out_of_fold(logged), propensities[0])
    np.testing.assert_array_equal(back.action_dist(logged.obs), fits[0].action_dist(logged.obs))


def test_a_folder_is_read_where_it_fits(simulator, tmp_path) -> None:
    stored = collect(simulator, Uniform(), 20_000, path=tmp_path / "data")
    with pytest.raises(ValueError, match=r"estimating propensities needs all rounds .* memory_mb=1, got one of"):
        estimate_propensities(stored, replace(BRIEF, memory_mb=1), seed=0)
    training = replace(BRIEF, steps=2)
    estimated = estimate_propensities(stored, training, folds=2, seed=0)
    again = estimate_propensities(stored.load(), training, folds=2, seed=0)
    np.testing.assert_array_equal(estimated.propensity, again.propensity)
    assert set(estimated.oracle) == {"expected_reward"}  # all columns


@register_saved
@dataclass(frozen=True, eq=False)
class Blunt:
    """Half of another policy, half uniform."""

    policy: Policy
    saved_as: ClassVar[str] = "test_blunt"

    def action_dist(self, obs):
        return 0.5 * self.policy.action_dist(obs) + 0.5 / obs.n_actions


def test_the_reliability_table_by_hand() -> None:
    data = BanditDataset.from_arrays(np.zeros((100, 1)), np.repeat([0, 1], [75, 25]), np.zeros(100), prompts=2)
    table = calibration(Softmax(Logits(np.log([0.6, 0.4]))), data, bins=2)
    low, high = table.bins
    assert (low.predicted, low.observed, low.ratio) == pytest.approx((0.4, 0.25, 0.625))
    assert (high.predicted, high.observed, high.ratio) == pytest.approx((0.6, 0.75, 1.25))
    assert low.se == pytest.approx(np.sqrt(100 * 0.24) / 40)
    assert table.error == pytest.approx((15 + 15) / 100)
    assert table.noise == pytest.approx(2 * np.sqrt(2 / np.pi) * np.sqrt(24) / 100)
    assert "expected calibration error 0.300" in str(table)


def test_the_true_policy_is_calibrated_a_blunt_one_is_not_and_the_estimate_is(sharp, model) -> None:
    _, data = sharp
    truth = data.require_logging_policy()
    true, blunt, estimated = (calibration(policy, data) for policy in (truth, Blunt(truth), model))
    assert len(true.bins) == 10
    assert sum(one.ratio for one in true.bins) / 10 == pytest.approx(1, abs=0.05)
    assert true.error < 1.6 * true.noise
    assert blunt.error > 4 * blunt.noise
    assert estimated.error < 2.5 * estimated.noise
    shares = [one.predicted for one in true.bins]
    assert shares == sorted(shares)
    axes = estimated.plot()
    assert axes.get_xscale() == "log"


def test_a_propensity_model_is_judged_on_rounds_that_its_policies_have_not_seen(logged) -> None:
    class Never:
        def action_dist(self, obs):
            raise AssertionError("the model of all rounds has seen them")

    halves = [Softmax(Logits(np.zeros(10))), Softmax(Logits(np.arange(10.0)))]
    model = PropensityModel(Never(), halves, 1.0, seed=0)
    parts = [calibration(policy, logged.take(rows), bins=1).bins[0] for rows, policy in model.unseen(logged)]
    whole = calibration(model, logged, bins=1).bins[0]
    assert whole.observed == pytest.approx(0.1)
    assert len(parts) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PropensityTraining(floor=0.0), r"floor: expected in \(0, 1\), got 0.0"),
        (lambda: calibration(Uniform(), None, bins=0), "bins: expected >= 1, got 0"),
    ],
)
def test_wrong_settings_are_named(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()
