"""MIPS: by hand, as IPS in the limit, unbiased where its assumption holds, and which dimensions it looks at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.ope import evaluate
from agents.ope.columns import columns_of
from agents.ope.estimators import IPS, SNIPS, WeightedLoggers
from agents.ope.estimators.embedding_selection import dimension_candidates, select_dimensions
from agents.ope.estimators.marginal import MIPS, SNMIPS, OutputMIPS, SNOutputMIPS
from agents.ope.marginal_weights import GroupWeight, PromptCells, cells
from agents.ope.models import Fitter, Models
from agents.ope.output_weights import modelled_log_density
from agents.ope.refusing import Refused
from agents.output_model import fit_output_model
from agents.propensity import PropensityTraining
from prompt_bandits import BanditDataset, collect
from prompt_bandits.policies import Logits, OracleScore, Softmax, Uniform
from prompt_bandits.synthetic import SyntheticConfig
from prompt_bandits.types import Prompts

from .three_rounds import three_rounds
from .three_sentences import LOGGING, POLICY, model_of_outputs, three_sentences

QUICK = PropensityTraining(steps=200, lr=1e-2)
FAR = Softmax(Logits(np.linspace(0, 2, 10)))


def test_mips_by_hand() -> None:
    """Prompts 0 and 1 share an embedding: 0.5 / 0.75, 0.5 / 0.4, and prompt 2 has its own: 0.5 / 0.5."""
    found = evaluate(POLICY, three_sentences(), [MIPS(), MIPS(clip=1.0), SNMIPS()])
    np.testing.assert_allclose(found["mips"].round_values, [2 / 3, 1.25 * 2, 5])
    np.testing.assert_allclose(found["mips[clip=1]"].round_values, [2 / 3, 2, 5])
    ratio = (2 / 3 + 2.5 + 5) / (2 / 3 + 1.25 + 1)
    assert found["sn-mips"].value == pytest.approx(ratio)
    assert found["mips"].diagnostics.mean_weight.value == pytest.approx((2 / 3 + 1.25 + 1) / 3)


def test_output_mips_by_hand() -> None:
    """Residuals of variance 1 about 0, 1 and 3."""
    found = evaluate(POLICY, three_sentences(), [OutputMIPS(), SNOutputMIPS()], simulator=model_of_outputs())
    likely = np.exp(-0.5 * np.array([[0, 1, 9], [1, 0, 4], [9, 4, 0]]))
    weight = (POLICY * likely).sum(axis=1) / (LOGGING * likely).sum(axis=1)
    np.testing.assert_allclose(found["output-mips"].round_values, weight * [1, 2, 5], rtol=1e-5)
    assert found["sn-output-mips"].value == pytest.approx((weight * [1, 2, 5]).sum() / weight.sum(), rel=1e-5)


def test_a_prompt_that_was_never_logged_may_write_what_was() -> None:
    """In the first round prompt 1 is likelier behind 0.9 than prompt 0, which alone could be logged."""
    data = three_sentences(np.array([0.9, 1.0, 3.0]))
    logging = np.array([[1.0, 0.0, 0.0], *LOGGING[1:]])
    object.__setattr__(data.policies[0], "dist", logging)
    found = evaluate(POLICY, data, [OutputMIPS(), MIPS()], simulator=model_of_outputs())
    likely = np.exp(-0.5 * (0.9 - np.array([0.0, 1.0, 3.0])) ** 2)
    assert found["output-mips"].round_values[0] == pytest.approx(POLICY[0] @ likely / likely[0], rel=1e-5)
    assert found["mips"].round_values[0] == pytest.approx(0.5)


def test_mips_with_one_hot_embeddings_is_ips(simulator) -> None:
    data = one_hot(collect(simulator, Softmax(OracleScore(simulator), beta=0.5), 300, seed=3))
    found = evaluate(FAR, data, [IPS(), MIPS(), SNIPS(), SNMIPS()])
    np.testing.assert_allclose(found["mips"].round_values, found["ips"].round_values, rtol=1e-6)
    np.testing.assert_allclose(found["sn-mips"].round_values, found["snips"].round_values, rtol=1e-6)


def one_hot(data: BanditDataset) -> BanditDataset:
    """The same rounds with one-hot prompts, logged by what the old ones were logged by."""

    class Logged:
        def action_dist(self, obs):
            return data.policies[0].action_dist(replace(obs, prompts=data.prompts))

    return replace(data, obs=replace(data.obs, prompts=Prompts.one_hot(10)), policies=(Logged(),))


def test_output_mips_of_sentences_that_tell_the_prompt_is_ips() -> None:
    sure = replace(model_of_outputs(), residuals=np.array([[0.01], [-0.01]]))
    found = evaluate(POLICY, three_sentences(), [IPS(), OutputMIPS()], simulator=sure)
    np.testing.assert_allclose(found["output-mips"].round_values, found["ips"].round_values, rtol=1e-9)


@pytest.mark.parametrize("estimator", [MIPS(), OutputMIPS(posterior="true"), OutputMIPS(), SNOutputMIPS()], ids=str)
def test_on_policy_it_is_the_mean(simulator, logged, estimator) -> None:
    found = evaluate(logged.policies[0], logged, [estimator], simulator=simulator)[estimator.name]
    np.testing.assert_allclose(found.round_values, logged.reward, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("posterior", ["true", "model"])
def test_output_mips_is_unbiased_within_four_standard_errors(simulator, posterior) -> None:
    data = collect(simulator, Softmax(OracleScore(simulator), beta=0.5), 40_000, seed=11)
    policy = Softmax(OracleScore(simulator), beta=3.0)
    found = evaluate(policy, data, [OutputMIPS(posterior=posterior)], simulator=simulator).results[0]
    assert abs(found.value - simulator.policy_value(policy).value) < 4 * found.se
    mean = found.diagnostics.mean_weight
    assert abs(mean.value - 1) < 4 * mean.se


def test_output_mips_varies_less_than_ips_where_many_prompts_write_alike() -> None:
    simulator = SyntheticConfig(n_actions=200, output_noise=6.0).build()
    data = collect(simulator, Uniform(), 4000, seed=2)
    policy = Softmax(OracleScore(simulator), beta=20.0)
    found = evaluate(policy, data, [IPS(), OutputMIPS(posterior="true"), OutputMIPS(posterior="model")])
    assert found["output-mips[posterior=true]"].value is None
    found = evaluate(policy, data, [IPS(), OutputMIPS(posterior="true"), OutputMIPS()], simulator=simulator)
    ips, true, modelled = found.results
    assert true.se < 0.7 * ips.se
    assert modelled.value == pytest.approx(true.value, abs=true.se)
    assert abs(true.value - simulator.policy_value(policy).value) < 4 * true.se


def test_a_classifier_finds_the_prompts_behind_sentences() -> None:
    """The weights are about the true ones where a logistic regression can be right: outputs linear in the prompts."""
    simulator = SyntheticConfig(n_actions=4, mapping="linear", output_noise=3.0).build()
    data = collect(simulator, Softmax(Logits(np.array([0.0, 0.5, 1.0, 1.5]))), 1500, seed=4)
    policy = Softmax(OracleScore(simulator), beta=10.0)
    estimators = [OutputMIPS(posterior="classifier"), OutputMIPS(posterior="true"), IPS()]
    weights = [
        evaluate(policy, data, [one], simulator=simulator).results[0].round_values / data.reward for one in estimators
    ]
    off = [np.square(one - weights[1]).mean() for one in weights]
    assert off[0] < 0.35 * off[2]


def test_densities_of_outputs_that_query_and_prompt_interact_in_are_those_of_their_means(simulator, logged) -> None:
    model = fit_output_model(logged, seed=0)
    obs, output = logged.obs.take(slice(0, 7)), logged.require_output()[:7]
    bent = replace(model, interaction=np.random.default_rng(0).normal(size=(5, 5, 5)))
    covariance = model.residuals.T @ model.residuals / len(model.residuals)
    for one in (replace(model, interaction=np.zeros((5, 0, 5))), bent):
        mean = np.stack([one.mean(obs, np.full(7, a)) for a in range(10)], axis=1)
        off = output[:, None] - mean
        expected = -0.5 * np.einsum("kad,de,kae->ka", off, np.linalg.inv(covariance), off)
        found = modelled_log_density(one, obs, output)
        np.testing.assert_allclose(
            found - found[:, :1], expected - expected[:, :1], rtol=1e-3, atol=1e-3 * np.ptp(expected)
        )


def test_a_continuous_embedding_is_cut_into_quantiles() -> None:
    embedding = np.stack([np.arange(8.0), np.repeat([0.0, 5.0], 4)], axis=1)
    assert len(np.unique(cells(embedding, None, 4))) == 4
    assert cells(embedding, (0,), 2).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert cells(embedding, (0,), 8).tolist() == list(range(8))
    assert cells(np.arange(5.0)[:, None], None, 2).tolist() == [0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="dimensions: expected some of 0 … 1"):
        cells(embedding, (2,), 4)


def test_chunks_do_not_change_values(simulator, logged) -> None:
    estimators = [MIPS(), OutputMIPS(), OutputMIPS(posterior="classifier")]
    whole = evaluate(FAR, logged, estimators)
    small = evaluate(FAR, logged, estimators, models=whole.models, memory_mb=1)
    assert small.models.fitted
    pieces = [columns_of(logged, FAR, list(one.columns().values()), whole.models, memory_mb=0.05) for one in estimators]
    for one, piece in zip(estimators, pieces, strict=True):
        values = one.round_values({name: piece[column] for name, column in one.columns().items()})
        np.testing.assert_allclose(values, whole[one.name].round_values, rtol=1e-5)


def test_balanced_loggers_share_one_denominator(simulator) -> None:
    policies = (Uniform(), Softmax(OracleScore(simulator), beta=2.0))
    data = BanditDataset.concat([collect(simulator, one, 100, seed=k) for k, one in enumerate(policies)])
    found = evaluate(FAR, one_hot_of_two(data), [IPS(loggers="balanced"), MIPS(loggers="balanced"), MIPS()])
    one, other, naive = found.results
    np.testing.assert_allclose(one.round_values, other.round_values, rtol=1e-6)
    assert not np.allclose(naive.round_values, other.round_values)
    assert evaluate(FAR, data, [WeightedLoggers(MIPS())]).results[0].value is not None


def one_hot_of_two(data: BanditDataset) -> BanditDataset:
    """As `one_hot`, of several loggers."""

    class Logged:
        def __init__(self, policy) -> None:
            self.policy = policy

        def action_dist(self, obs):
            return self.policy.action_dist(replace(obs, prompts=data.prompts))

    loggers = tuple(Logged(one) for one in data.policies)
    return replace(data, obs=replace(data.obs, prompts=Prompts.one_hot(10)), policies=loggers)


def test_slope_over_dimensions_prefers_those_that_matter() -> None:
    """The reward looks at the first of three dimensions only; few rounds, many cells."""
    generator = np.random.default_rng(0)
    embedding = generator.integers(3, size=(200, 3)).astype(np.float32)
    action = generator.integers(200, size=2000)
    reward = embedding[action, 0] + generator.normal(size=2000)
    data = BanditDataset.from_arrays(
        np.zeros((2000, 1)),
        action,
        reward,
        prompts=Prompts.from_embedding(embedding),
        propensity=np.full(2000, 1 / 200),
        policies=(Uniform(),),
    )
    policy = Softmax(Logits(2.0 * embedding[:, 0] + generator.normal(size=200)))
    chosen = select_dimensions(policy, data)
    assert 0 in chosen.dimensions
    assert len(chosen.dimensions) < 3
    dist = policy.action_dist(data.obs.take(slice(0, 1)))[0]
    truth = float(dist @ embedding[:, 0])
    all_dimensions, found = evaluate(policy, data, [IPS(), chosen]).results
    assert found.se < 0.7 * all_dimensions.se
    assert abs(found.value - truth) < 4 * found.se
    assert select_dimensions(policy, data, SNMIPS(dimensions=(0, 1))).dimensions == (0,)


def test_candidates_are_all_sets_of_dimensions() -> None:
    sets = [one.dimensions for one in dimension_candidates(3, SNMIPS(bins=3))]
    assert sets == [(0, 1, 2), (0, 1), (0, 2), (1, 2), (0,), (1,), (2,)]
    assert {type(one) for one in dimension_candidates(2)} == {MIPS}
    with pytest.raises(ValueError, match="n_dimensions: expected 1 … 8, got 9"):
        dimension_candidates(9)


def test_what_is_missing_is_named() -> None:
    without_outputs = replace(three_sentences(), output=None)
    found = evaluate(POLICY, without_outputs, [OutputMIPS(), MIPS()], simulator=model_of_outputs())
    assert found["output-mips"].refused == "output: no embeddings in this dataset, but needed here"
    assert found["mips"].value is not None
    found = evaluate(np.tile([0.2, 0.8], (3, 1)), three_rounds(), [MIPS()])
    assert found["mips"].refused.startswith("logging_policy: this weight asks what the logging policy would have done")
    found = evaluate(POLICY, three_sentences(), [OutputMIPS(posterior="true")])
    assert "expected one whose LLM tells its `output_distribution`" in found.results[0].refused
    with pytest.raises(Refused, match="logging_policy"):
        select_dimensions(np.tile([0.2, 0.8], (3, 1)), three_rounds())


def test_a_logging_policy_that_never_took_what_was_logged_is_no_such_policy() -> None:
    data = replace(three_sentences(), action=np.array([0, 1, 0]))
    object.__setattr__(data.policies[0], "dist", np.array([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6], [0.0, 0.5, 0.5]]))
    with pytest.raises(ValueError, match=r"logging_policy: .* got probability 0 for prompt 0 in round 2"):
        evaluate(POLICY, data, [MIPS()])


def test_settings_out_of_range_are_refused() -> None:
    for make in (lambda: MIPS(bins=1), lambda: MIPS(dimensions=()), lambda: OutputMIPS(posterior="guess")):
        with pytest.raises(ValueError, match="expected"):
            make()
    names = [one.name for one in (MIPS(), SNMIPS(dimensions=(0, 1)), OutputMIPS(posterior="classifier"))]
    assert names == ["mips", "sn-mips[dimensions=(0, 1)]", "output-mips[posterior=classifier]"]


def test_estimated_propensities_stand_in_for_the_logging_policy() -> None:
    """Prompts are logged at random: the weight of a cell of two of three prompts is π / (2/3)."""
    generator = np.random.default_rng(1)
    action = generator.integers(3, size=600)
    prompts = Prompts.from_embedding(np.array([[0.0], [0.0], [1.0]]))
    data = BanditDataset.from_arrays(np.zeros((600, 1)), action, np.ones(600), prompts=prompts)
    found = evaluate(
        np.tile([0.5, 0.2, 0.3], (600, 1)), data, [MIPS()], propensities="estimated", folds=2, propensity_training=QUICK
    )
    weight = found["mips"].round_values
    np.testing.assert_allclose(weight[action < 2], 0.7 / (2 / 3), rtol=0.1)
    np.testing.assert_allclose(weight[action == 2], 0.3 / (1 / 3), rtol=0.1)


def test_a_group_weight_is_computed_from_the_fitted_groups(logged) -> None:
    fitter = Fitter(logged, FAR, Models())
    group = fitter.get(PromptCells((0,), 2))
    weight = columns_of(logged, FAR, [GroupWeight(groups=PromptCells((0,), 2))], fitter.models)
    own = group[logged.action][:, None] == group
    logging = logged.logging_dist()
    expected = (FAR.action_dist(logged.obs) * own).sum(axis=1) / (logging * own).sum(axis=1)
    np.testing.assert_allclose(next(iter(weight.values())), expected, rtol=1e-6)
