"""Choosing estimators and policies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from agents.ope import evaluate
from agents.ope.columns import Reward, Weight
from agents.ope.estimators import DM, DR, IPS, MIPS, SNIPS, DRos
from agents.ope.estimators.base import ratio_terms
from agents.ope.named_estimators import estimator_classes, estimator_named
from agents.ope.refusing import Refused
from agents.ope.selection import Auto, CrossValidated, Slope, pas_if, rank_policies, slope, slope_of_results
from agents.ope.selection.bias_belief import believed_bias
from agents.ope.selection.cross_validation import training_rounds
from agents.ope.selection.pseudo_policies import Rule, Tables, fit_rule, pseudo_policies
from prompt_bandits import BanditDataset
from prompt_bandits.policies import Logits, Softmax, Uniform

from .three_rounds import POLICY, ByPrompt, Zero, three_rounds

FAR, NEAR, AWAY = (Softmax(Logits(np.array([0.0, 1.0, beta]))) for beta in (4.0, 0.5, -4.0))


def prompts_of_three(n: int, seed: int = 0) -> BanditDataset:
    """Rewards N(a, 1) of uniform rounds."""
    rng = np.random.Generator(np.random.Philox(seed))
    action = rng.integers(0, 3, n)
    return BanditDataset.from_arrays(
        rng.normal(size=(n, 2)),
        action,
        action + rng.normal(size=n),
        prompts=3,
        propensity=np.full(n, 1 / 3),
        policies=(Uniform(),),
    )


@dataclass(frozen=True)
class Off:
    """IPS that is wrong by so much."""

    by: float

    @property
    def name(self) -> str:
        return f"off[{self.by:g}]"

    def columns(self):
        return {"weight": Weight(), "reward": Reward()}

    def round_values(self, c):
        return c["weight"] * c["reward"] + self.by


@dataclass(frozen=True)
class Refuses(Off):
    def round_values(self, c):
        raise Refused("no")


# SLOPE


@pytest.mark.parametrize(
    ("values", "half_widths", "chosen"),
    [
        ([0.0, 0.1, 0.9], [1.0, 0.5, 0.1], 2),  # |0.9 − 0.1| <= 0.1 + 1.449·0.5
        ([0.0, 0.1, 0.95], [1.0, 0.5, 0.1], 1),  # |0.95 − 0.1| > 0.825
        ([0.95, 0.1, 0.0], [0.1, 0.5, 1.0], 1),  # the same in another order
        ([0.0, 3.0, 0.0], [1.0, 0.5, 0.1], 0),  # what comes after the first that fails is never looked at
        ([2.0], [0.0], 0),
    ],
)
def test_slope_takes_the_last_estimate_that_all_wider_ones_can_believe(values, half_widths, chosen) -> None:
    assert slope(values, half_widths) == chosen


@pytest.mark.parametrize(("values", "half_widths"), [([], []), ([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([1.0], [-1.0])])
def test_slope_names_what_it_cannot_choose_from(values, half_widths) -> None:
    with pytest.raises(ValueError, match="half_widths"):
        slope(values, half_widths)


def test_slope_shrinks_away_a_correction_that_is_noise_and_keeps_one_that_is_not() -> None:
    data = prompts_of_three(2000)
    candidates = tuple(DRos(lambda_=value) for value in (0.0, 1.0, np.inf))
    for q_hat, chosen in ((ByPrompt(), "dros[lambda=0]"), (Zero(), "dros[lambda=inf]")):
        found = evaluate(FAR, data, [*candidates, Slope(candidates)], q_hat=q_hat, progress=False)
        assert found["slope[dros]"].value == found[chosen].value
        assert slope_of_results(found.results[:3]) is found[chosen]


def test_candidates_that_refuse_are_left_out() -> None:
    found = evaluate(POLICY, three_rounds(), [Slope((Refuses(0.0), IPS())), Slope((Refuses(0.0),))], progress=False)
    assert found["slope[off, ips]"].value == pytest.approx(23.6 / 3)
    assert found["slope[off]"].refused == "off[0]: no"


def test_candidates_have_names_of_their_own() -> None:
    for wrong in ((), (IPS(), IPS())):
        with pytest.raises(ValueError, match="candidates"):
            Slope(wrong)


# Cross-validation


@pytest.mark.parametrize(
    ("variance", "validator", "expected"),
    [(1.0, 3.0, 25), (3.0, 1.0, 75), (0.0, 1.0, 2), (1.0, 0.0, 98), (0.0, 0.0, 50)],
)
def test_a_split_shares_rounds_by_variances(variance, validator, expected) -> None:
    assert training_rounds(100, variance, validator) == expected


def test_cross_validation_finds_the_candidate_that_is_right() -> None:
    choice = CrossValidated((Off(-0.5), Off(0.0), Off(0.5)), validator=IPS(), splits=20)
    found = evaluate(NEAR, prompts_of_three(3000), [choice, IPS()], progress=False)
    assert found[choice.name].value == pytest.approx(found["ips"].value)


def test_a_choice_is_diagnosed_by_the_importance_weights() -> None:
    asked = [CrossValidated(), Slope(), IPS(), CrossValidated((DM(), DRos(lambda_=0.0)), validator=IPS())]
    found = evaluate(FAR, prompts_of_three(400), asked, q_hat=ByPrompt(), progress=False)
    for one in asked:
        assert found[one.name].diagnostics.effective_rounds == found["ips"].diagnostics.effective_rounds
        assert found[one.name].diagnostics.mean_weight == found["ips"].diagnostics.mean_weight


def test_names_say_what_is_not_the_default() -> None:
    assert CrossValidated().name == "cross-validated"
    assert CrossValidated((IPS(), DM()), validator=IPS()).name == "cross-validated[ips, dm, validator=ips]"
    assert Slope(level=0.9).name == "slope[level=0.9]"


def test_cross_validation_takes_the_exact_reward_model_over_weighting() -> None:
    found = evaluate(FAR, prompts_of_three(500, seed=1), [CrossValidated(), DM()], q_hat=ByPrompt(), progress=False)
    assert found["cross-validated"].value == found["dm"].value


# PAS-IF


def tables(n: int = 4) -> Tables:
    data = prompts_of_three(n)
    return Tables(FAR.action_dist(data.obs), Uniform().action_dist(data.obs), data.action)


def test_pseudo_policies_are_what_drawing_leaves() -> None:
    """w = (3/2, 1/2) with odds w: ρ = (3/5, 1/3), p = (3/5 + 1/3)/2 = 7/15; π̃ = (9/14, 5/14), π̃0 = (3/8, 5/8)."""
    given = Tables(np.array([[0.75, 0.25]]), np.array([[0.5, 0.5]]), np.array([0]))
    found = pseudo_policies(given, Rule(1.0, 1.0, 0.0))
    np.testing.assert_allclose(found.drawn, [3 / 5])
    np.testing.assert_allclose(found.marginal, [7 / 15])
    np.testing.assert_allclose(found.target, [[9 / 14, 5 / 14]])
    np.testing.assert_allclose(found.propensity, [3 / 8])


def test_the_two_pseudo_policies_mix_to_the_logging_policy() -> None:
    given = tables(50)
    found = pseudo_policies(given, fit_rule(given, 0.3))
    assert found.marginal.mean() == pytest.approx(0.3)
    mixed = found.marginal * given.logged(found.target) + (1 - found.marginal) * found.propensity
    np.testing.assert_allclose(mixed, given.logged(given.logging))


def test_pseudo_weights_go_to_the_real_ones_as_fewer_rounds_are_drawn() -> None:
    given = tables(50)
    misfits = [fit_rule(given, share).misfit for share in (0.5, 0.2, 0.01)]
    assert misfits == sorted(misfits, reverse=True)
    assert misfits[-1] < 1e-2


def test_policies_that_never_meet_have_no_pseudo_policies() -> None:
    given = Tables(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([1]))
    with pytest.raises(ValueError, match="policy: expected one that does something of what was logged"):
        fit_rule(given, 0.2)
    with pytest.raises(ValueError, match=r"share: expected in \(0, 1\)"):
        fit_rule(given, 1.0)


def test_pas_if_finds_the_estimator_that_is_right_for_the_policy() -> None:
    found = pas_if(NEAR, prompts_of_three(3000), [Off(0.5), IPS(), Off(-0.5), Refuses(1.0)], splits=5, progress=False)
    assert found.estimator == IPS()
    assert found.losses["off[0.5]"].value == pytest.approx(0.25, abs=0.1)
    assert found.refused == {"off[1]": "no"}
    assert str(found).splitlines()[2].startswith("* ips")


def test_pas_if_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="carries none"):
        pas_if(NEAR, three_rounds(), [IPS()])
    with pytest.raises(ValueError, match="memory_mb: 30,000 rounds of 3 prompts take 3 MB, allowed are 1"):
        pas_if(NEAR, prompts_of_three(30_000), [IPS()], memory_mb=1)


# Auto


def columns(n: int = 400, seed: int = 1, spread: float = 1.0) -> dict[str, np.ndarray]:
    """Log-normal weights, more uneven for a larger spread, and a reward model that is right: both say 0."""
    rng = np.random.Generator(np.random.Philox(seed))
    q = rng.normal(size=n)
    return {
        "weight": np.exp(spread * rng.normal(size=n) - spread**2 / 2),
        "reward": q + rng.normal(size=n),
        "q_logged": q,
        "q_policy": q / 2,
    }


def value(c: dict[str, np.ndarray], **settings: float) -> float:
    return float(Auto(**settings).round_values(c).mean())


def test_auto_on_policy_is_the_doubly_robust_estimate_of_least_variance() -> None:
    c = columns() | {"weight": np.ones(400)}
    c["q_policy"] = c["q_logged"]
    assert value(c) == pytest.approx(c["reward"].mean())


def test_auto_follows_rewards_that_are_shifted_and_scaled() -> None:
    c = columns()
    moved = {name: column if name == "weight" else 3 * column + 7 for name, column in c.items()}
    assert value(moved) == pytest.approx(3 * value(c) + 7)


def test_auto_with_many_effective_rounds_is_the_weighted_end() -> None:
    c = columns(20_000, spread=0.3)
    weighted = c["q_policy"] + ratio_terms(c["weight"], c["reward"] - c["q_logged"])
    assert value(c) == pytest.approx(weighted.mean(), abs=2e-3)


def test_auto_with_fewer_effective_rounds_than_the_model_is_worth_is_the_model_with_a_wide_interval() -> None:
    c = columns(spread=4.0)
    model = c["q_policy"] + c["reward"] - c["q_logged"]
    auto = Auto(model_rounds=20)
    values = auto.round_values(c)
    assert auto.belief(c).share < 0.5 < Auto().belief(c).share
    assert abs(values.mean() - model.mean()) < 0.5 * abs(value(c, model_rounds=0.01) - model.mean())
    assert values.std() > 3 * model.std()


def test_auto_is_diagnosed_by_the_weights_before_they_are_moved() -> None:
    found = evaluate(FAR, prompts_of_three(40), [Auto(), IPS()], q_hat=ByPrompt(), progress=False)
    assert found["auto"].diagnostics.effective_rounds == found["ips"].diagnostics.effective_rounds
    assert found["auto"].diagnostics.removed_weight == 0


def test_auto_without_any_weight_says_what_the_model_says() -> None:
    c = columns() | {"weight": np.zeros(400)}
    assert value(c) == pytest.approx((c["q_policy"] + c["reward"] - c["q_logged"]).mean())


def misled(c: dict[str, np.ndarray], by: float, spread: float) -> dict[str, np.ndarray]:
    """The same with a model that is off by `by`·log w, the more the more the policy likes an action."""
    log = np.log(c["weight"])
    return c | {"q_logged": c["q_logged"] + by * log, "q_policy": c["q_policy"] + by * spread**2 / 2}


def test_auto_finds_out_a_model_that_is_very_wrong() -> None:
    c = misled(columns(4000), 10.0, 1.0)
    assert c["q_policy"].mean() > 4.5
    assert abs(value(c)) < 1.0


def test_what_is_believed_of_an_error_grows_with_it() -> None:
    shares = [believed_bias(measured, 1.0, 0.1, 5.0).share for measured in (0.0, 1.0, 3.0, 10.0)]
    assert shares == sorted(shares)
    assert shares[0] < 0.15
    assert shares[-1] > 0.8
    assert believed_bias(1.0, 1e-12, 0.1, 5.0).share == pytest.approx(1.0)
    nothing = believed_bias(1.0, np.inf, 0.1, 5.0)
    assert nothing.share == 0
    assert nothing.variance == pytest.approx(0.1 * 5 / 3, rel=0.05)  # of t with 5 degrees of freedom


@pytest.mark.parametrize("settings", [{"model_rounds": 0.0}, {"freedom": -1.0}, {"model_rounds": float("inf")}])
def test_auto_refuses_numbers_that_are_not_positive(settings) -> None:
    with pytest.raises(ValueError, match="expected a finite number > 0"):
        Auto(**settings)


def squared_errors(n: int, spread: float, by: float) -> dict[str, float]:
    """MSE over 400 datasets, by estimator."""
    errors: dict[str, list[float]] = {}
    for seed in range(400):
        c = misled(columns(n, seed, spread), by, spread)
        for one in (IPS(), SNIPS(), DM(), DR(), Auto()):
            errors.setdefault(one.name, []).append(float(one.round_values(c).mean()))
    return {name: float(np.square(own).mean()) for name, own in errors.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("n", "spread", "by"), [(300, 0.5, 1.0), (300, 2.0, 0.2), (3000, 1.0, 1.0)])
def test_autos_error_is_near_the_best_in_hindsight_whatever_that_is(n, spread, by) -> None:
    mse = squared_errors(n, spread, by)
    assert mse.pop("auto") <= 1.2 * min(mse.values())


@pytest.mark.slow
def test_auto_gains_much_of_what_a_right_model_is_worth() -> None:
    mse = squared_errors(300, 2.0, 0.0)
    assert mse["auto"] < 0.4 * min(mse["ips"], mse["snips"], mse["dr"])


# Policies


def test_policies_are_ranked_by_what_they_would_earn() -> None:
    data = prompts_of_three(3000)
    found = rank_policies({"away": AWAY, "far": FAR, "near": NEAR}, data, q_hat=ByPrompt(), progress=False)
    assert [one.name for one in found.ranked] == ["far", "near", "away"]
    assert found.best == "far"
    truth = FAR.action_dist(data.obs)[0] @ np.arange(3.0)
    assert found["far"].value == pytest.approx(truth, abs=0.1)
    assert found["away"].gain.probability < 0.01
    assert str(found).splitlines()[3].split()[0] == "far"
    with pytest.raises(KeyError, match="expected one of far, near, away"):
        found["nowhere"]


def test_the_lower_end_prefers_what_is_known_well() -> None:
    """Both earn about as much, but the far policy's interval is wider."""
    data = prompts_of_three(60, seed=3)
    policies = {"uniform": Uniform(), "away": AWAY, "far": FAR}
    by_value = rank_policies(policies, data, IPS(), progress=False)
    by_lower = rank_policies(policies, data, IPS(), by="lower", progress=False)
    lows = [one.interval.low for one in by_lower.ranked]
    assert lows == sorted(lows, reverse=True)
    values = [one.value for one in by_value.ranked]
    assert values == sorted(values, reverse=True)


def test_policies_that_are_refused_come_last_and_all_refused_is_an_error() -> None:
    data = three_rounds().take(np.array([1, 2]))
    never = Softmax(Logits(np.array([0.0, -np.inf])))
    found = rank_policies({"never": never, "some": POLICY}, data, IPS(), progress=False)
    assert [one.name for one in found.ranked] == ["some", "never"]
    assert found["never"].value is None
    with pytest.raises(ValueError, match="ips refuses every one"):
        rank_policies({"never": never}, data, IPS(), progress=False)
    for wrong in ({"policies": {}}, {"by": "luck"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            rank_policies(**{"policies": {"some": POLICY}, "data": data} | wrong)


def test_ranking_plots(tmp_path) -> None:
    pytest.importorskip("matplotlib")
    ax = rank_policies({"far": FAR, "near": NEAR}, prompts_of_three(100), IPS(), progress=False).plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["near", "far"]


# Names


def test_every_estimator_is_found_by_the_name_that_it_has() -> None:
    for short, cls in estimator_classes().items():
        assert estimator_named(short) == cls()
    assert estimator_named("ips[clip=10]") == IPS(clip=10.0)
    assert estimator_named("dros[lambda=1]").name == "dros[lambda=1]"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("isp", "did you mean 'ips'"),
        ("ips[clap=1]", "did you mean 'clip'"),
        ("ips[clip=-1]", "clip"),
        ("ips[", "such as"),
    ],
)
def test_a_wrong_name_is_answered_with_a_right_one(text, told) -> None:
    with pytest.raises(ValueError, match=told):
        estimator_named(text)


def test_an_estimator_is_made_from_the_name_that_tables_give_it() -> None:
    for made in (MIPS(dimensions=(0, 2)), MIPS(dimensions=(1,), clip=5.0), DRos(lambda_=2.0)):
        assert estimator_named(made.name) == made
    with pytest.raises(ValueError, match="mips: dimensions: expected int, got 'x'"):
        estimator_named("mips[dimensions=(0, x)]")
