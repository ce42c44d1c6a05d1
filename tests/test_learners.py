"""Every learner: it learns, repeats itself, leaves its config alone, saves and loads, refuses what it cannot use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import prompt_bandits
from agents import learners
from agents.batch import Batch
from agents.callbacks import History
from agents.density import DensityTraining, MonteCarloDensity
from agents.kernels import OutputKernel, gaussian, uniform
from agents.learners import DSO, IPS, BehaviourCloning, DirectMethod
from agents.learners.base import Step
from agents.logging_policies import published_logging_policy
from agents.policies import masked_log_softmax
from agents.reward_models import RewardTraining
from prompt_bandits import BanditDataset, collect
from prompt_bandits.acting import prob
from prompt_bandits.policies import Logits, Softmax, Uniform
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import GaussianNoise, PromptSimulator
from prompt_bandits.synthetic import SyntheticConfig
from prompt_bandits.types import Observation, Output, Prompts

QUICK_REWARD = RewardTraining(steps=400, patience=None)
FAST = {"steps": 600, "batch_size": 64, "lr": 5e-3}
ALL = {
    "behaviour cloning": BehaviourCloning(**FAST),
    "direct method": DirectMethod(**FAST, reward_training=QUICK_REWARD),
    "direct method, sampled": DirectMethod(**FAST, reward_training=QUICK_REWARD, sampled=True),
    "ips": IPS(**FAST),
    "dso": DSO(**FAST, density_training=DensityTraining(steps=1500), tau=0.3, emb_noise=0.0),
    "dso, monte carlo": DSO(**FAST, density_by="monte_carlo", density_outputs=50, tau=0.3, emb_noise=0.0),
    "dso, uniform kernel": DSO(**FAST, kernel="uniform", tau=0.3, density_by="monte_carlo", emb_noise=0.0),
}
LEARN_FROM_REWARDS = {name: learner for name, learner in ALL.items() if name != "behaviour cloning"}


class Identity:
    """An LLM that writes the prompt down, with a little noise: outputs tell prompts apart."""

    def generate(self, obs, action, rounds):
        noise = 0.05 * rounds.normal("output", obs.prompts.embedding.shape[1])
        return Output((obs.prompts.embedding[action] + noise).astype(np.float32))


class Match:
    """A user who likes the prompt of their own number."""

    def expected(self, obs, output):
        return (obs.context * output.embedding).sum(1)


class OneOfThree:
    def observe(self, rounds, prompts):
        kind = rounds.integers("user", 3)
        return Observation(np.eye(3, dtype=np.float32)[kind], prompts)


@pytest.fixture(scope="module")
def identity() -> PromptSimulator:
    return PromptSimulator(OneOfThree(), Prompts.one_hot(3), Identity(), Match(), GaussianNoise(0.1))


@pytest.fixture(scope="module")
def tiny(identity) -> BanditDataset:
    """Logged by a policy that prefers prompt 0 for everybody."""
    return collect(identity, Softmax(Logits(np.array([1.0, 0.0, 0.0]))), 1500)


@pytest.mark.parametrize("network", ["mlp", "scorer", "pairwise"])
@pytest.mark.parametrize("learner", LEARN_FROM_REWARDS.values(), ids=LEARN_FROM_REWARDS)
def test_learns_the_identity_bandit(learner, network, identity, tiny) -> None:
    policy = replace(learner, network=network).fit(tiny, seed=0, simulator=identity)
    assert isinstance(policy, Policy)
    assert identity.optimality(policy, 500) > 0.9


def test_behaviour_cloning_finds_the_logging_policy(identity, tiny) -> None:
    policy = BehaviourCloning(steps=1500, batch_size=256, lr=3e-3).fit(tiny, seed=0)
    np.testing.assert_allclose(
        policy.action_dist(tiny.obs.take(slice(0, 50))), tiny.logging_dist(slice(0, 50)), atol=0.06
    )


@pytest.mark.parametrize("learner", ALL.values(), ids=ALL)
def test_repeats_itself_and_leaves_config_and_data_alone(learner, identity, tiny) -> None:
    learner = replace(learner, steps=30)
    before, columns = repr(learner), {k: v.copy() for k, v in tiny._columns().items()}
    fits = [learner.fit(tiny, seed=seed, simulator=identity).scores(tiny.obs.take(slice(0, 9))) for seed in (0, 0, 1)]
    assert repr(learner) == before
    assert np.array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])
    for name, column in tiny._columns().items():
        assert np.array_equal(column, columns[name])


@pytest.mark.parametrize("learner", ALL.values(), ids=ALL)
def test_the_learned_policy_saves_and_loads_without_the_learner(learner, identity, tiny, tmp_path) -> None:
    policy = replace(learner, steps=30).fit(tiny, seed=0, simulator=identity)
    back = prompt_bandits.load(prompt_bandits.save(policy, tmp_path / "p"))
    np.testing.assert_array_equal(back.action_dist(tiny.obs), policy.action_dist(tiny.obs))


@pytest.mark.parametrize("learner", ALL.values(), ids=ALL)
def test_masked_prompts_are_never_taken(learner) -> None:
    simulator = SyntheticConfig(n_actions=6, mask_rate=0.4).build()
    data = collect(simulator, Uniform(), 400)
    policy = replace(learner, steps=50, warmup_steps=20).fit(data, seed=0, simulator=simulator)
    assert policy.action_dist(data.obs)[~data.obs.action_mask].max() == 0


@pytest.mark.parametrize("learner", ALL.values(), ids=ALL)
def test_one_row_is_refused(learner, identity, tiny) -> None:
    with pytest.raises(ValueError, match="at least 2 round"):
        replace(learner, steps=5).fit(tiny.take(slice(0, 1)), seed=0, simulator=identity)


def test_what_is_missing_is_named(identity, tiny) -> None:
    with pytest.raises(ValueError, match="propensity: unknown in this dataset"):
        IPS(steps=5).fit(replace(tiny, propensity=None), seed=0)
    with pytest.raises(ValueError, match="output: no embeddings"):
        DSO(steps=5).fit(replace(tiny, output=None), seed=0, simulator=identity)
    with pytest.raises(ValueError, match="simulator: DSO samples outputs of the frozen LLM"):
        DSO(steps=5).fit(tiny, seed=0)
    with pytest.raises(ValueError, match="logging_policy: expected a dataset that carries exactly one"):
        DSO(steps=5).fit(replace(tiny, policies=()), seed=0, simulator=identity)


def test_learners_that_need_no_propensity_take_data_without(tiny) -> None:
    bare = replace(tiny, propensity=None, policies=())
    for learner in (BehaviourCloning(steps=5), DirectMethod(steps=5, reward_training=replace(QUICK_REWARD, steps=5))):
        learner.fit(bare, seed=0)


@pytest.mark.parametrize("cls", [getattr(learners, name) for name in learners.__all__])
def test_defaults_are_the_published_ones_and_run(cls, identity, tiny) -> None:
    learner = cls()
    assert (learner.optimizer, learner.lr, learner.weight_decay) == ("Adam", 5e-4, 0.0)
    assert (learner.steps, learner.batch_size, learner.hidden, learner.network) == (20_000, 32, 100, "mlp")
    assert getattr(learner, "clip", 200.0) == 200.0
    replace(learner, steps=3).fit(tiny, seed=0, simulator=identity)
    assert cls.quick(steps=7).steps == 7


@pytest.mark.parametrize("learner", ALL.values(), ids=ALL)
def test_logs_name_what_is_going_on(learner, identity, tiny) -> None:
    history = History()
    replace(learner, steps=20, log_every=10, validation_fraction=0.2).fit(
        tiny, seed=0, simulator=identity, callback=history
    )
    assert [log["step"] for log in history.logs] == [10, 20]
    expected = {"step", "loss", "logged_action_prob", "validation"}
    if isinstance(learner, (IPS, DSO)):
        expected.add("weight")
    assert set(history.logs[0]) == expected


def test_early_stopping_keeps_the_best_policy_by_held_out_rounds(identity, tiny) -> None:
    history = History()
    learner = IPS(steps=5000, lr=5e-3, log_every=25, validation_fraction=0.3, patience=3)
    policy = learner.fit(tiny, seed=0, callback=history)
    scores = [log["validation"] for log in history.logs]
    assert len(scores) < 200
    _, held_out = tiny.split(0.7, 0)
    weight = prob(policy, held_out.obs, held_out.action) / held_out.propensity
    snips = (weight * held_out.reward).sum() / weight.sum()
    assert -min(scores) == pytest.approx(snips, abs=1e-4)


def test_the_warm_up_makes_the_policy_uniform() -> None:
    simulator = SyntheticConfig(n_actions=8).build()
    data = collect(simulator, Uniform(), 500)
    spread = []
    for warmup_steps in (0, 400):
        policy = IPS(steps=1, lr=5e-3, warmup_steps=warmup_steps).fit(data, seed=0)
        spread.append(policy.action_dist(data.obs).std())
    assert spread[1] < 0.2 * spread[0]


def test_fitted_models_can_be_given_and_shared(identity, tiny) -> None:
    policy = DirectMethod(**FAST).fit(tiny, seed=0, q_hat=OracleQ(identity))
    assert identity.optimality(policy, 500) > 0.95
    shared = MonteCarloDensity(identity, tiny.policies[0], OutputKernel(tau=0.3, emb_noise=0.0))
    policy = ALL["dso"].fit(tiny, seed=0, simulator=identity, density=shared)
    assert identity.optimality(policy, 500) > 0.9


class OracleQ:
    def __init__(self, simulator):
        self.simulator = simulator

    def scores(self, obs):
        return self.simulator.action_values(obs).value

    def predict(self, obs, action):
        return self.simulator.action_value(obs, action).value


def test_any_callable_is_a_kernel(identity, tiny) -> None:
    learner = replace(ALL["dso, uniform kernel"], kernel=lambda distance, tau: uniform(distance, tau))
    named = ALL["dso, uniform kernel"]
    fits = [
        replace(one, steps=40).fit(tiny, seed=0, simulator=identity).scores(tiny.obs.take(slice(0, 5)))
        for one in (learner, named)
    ]
    np.testing.assert_array_equal(*fits)


def test_a_learner_reads_no_oracle_columns(identity, tiny) -> None:
    lying = replace(tiny, oracle={"expected_reward": -tiny.oracle["expected_reward"]})
    for learner in ALL.values():
        learner = replace(learner, steps=10)
        fits = [
            learner.fit(data, seed=0, simulator=identity).scores(tiny.obs.take(slice(0, 5))) for data in (tiny, lying)
        ]
        np.testing.assert_array_equal(*fits)


def test_scorers_generalise_to_prompts_that_were_never_there(identity, tiny) -> None:
    policy = IPS(**FAST, network="scorer").fit(tiny, seed=0)
    more = replace(tiny.obs.take(slice(0, 3)), prompts=Prompts.from_embedding(np.eye(3)[[0, 1, 2, 0]]))
    assert policy.action_dist(more).shape == (3, 4)
    fixed = IPS(steps=1).fit(tiny, seed=0)
    with pytest.raises(ValueError, match="prompts: expected the 3 that the network was made for, got 4"):
        fixed.action_dist(more)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DSO(kernel="box"), "kernel: expected one of"),
        (lambda: DSO(tau=0), "tau, emb_noise: expected > 0 and >= 0"),
        (lambda: DSO(density_by="knn"), "density_by: expected 'function' or 'monte_carlo'"),
        (lambda: DSO(density_outputs=0), "density_outputs: expected >= 1, got 0"),
        (lambda: IPS(hidden=0), "hidden, warmup_steps"),
        (lambda: IPS(clip=0.0), "clip: expected > 0 or None, got 0.0"),
        (lambda: DSO(clip=-1.0), "clip: expected > 0 or None, got -1.0"),
        (lambda: IPS(network="transformer"), "network: expected one of mlp, scorer, pairwise"),
    ],
)
def test_wrong_settings_are_named(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.slow
def test_dso_beats_ips_at_a_thousand_prompts() -> None:
    """Over worlds 0–2 at 8,000 rounds: the mean gap in optimality, and every one of them positive."""
    gaps = []
    for world_seed in range(3):
        simulator = SyntheticConfig(world_seed=world_seed).build()
        policy = published_logging_policy(simulator, seed=1, training=RewardTraining(steps=1000, patience=None))
        data = collect(simulator, policy, 8000)
        dso = DSO.quick(steps=3000, density_training=DensityTraining(steps=3000)).fit(data, seed=0, simulator=simulator)
        ips = IPS.quick(steps=3000).fit(data, seed=0)
        gaps.append(simulator.optimality(dso) - simulator.optimality(ips))
    assert min(gaps) > 0
    assert np.mean(gaps) > 0.1


def step_of(data: BanditDataset, log_probs: torch.Tensor, action: list[int]) -> Step:
    """A hand-made step: these log-probabilities, and a' drawn as told."""

    class Told(Step):
        def draw(self):
            return torch.tensor(action)

    return Told(np.arange(len(data)), data.obs, Batch.of(data), log_probs, Rounds(0, 0, len(data), "fit/test"))


def two_rows(**columns) -> BanditDataset:
    return BanditDataset.from_arrays(
        np.zeros((2, 1)),
        np.array([0, 1]),
        np.array([2.0, -1.0]),
        prompts=3,
        propensity=np.array([0.5, 0.01]),
        **columns,
    )


def test_the_ips_loss_by_hand() -> None:
    log_probs = torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]).log()
    clipped = IPS(clip=10.0)._loss(step_of(two_rows(), log_probs, [0, 0])).value
    # w = 0.2/0.5 and min(0.8/0.01, 10)
    assert clipped.item() == pytest.approx(-(0.4 * 2.0 * np.log(0.2) + 10 * -1.0 * np.log(0.8)) / 2, rel=1e-5)
    free = IPS(clip=None)._loss(step_of(two_rows(), log_probs, [0, 0])).value
    assert free.item() == pytest.approx(-(0.4 * 2.0 * np.log(0.2) + 80 * -1.0 * np.log(0.8)) / 2, rel=1e-5)


def test_the_dso_loss_by_hand() -> None:
    """Each row has its own density, its own drawn sentence, and its weight is clipped."""

    class Written:
        def respond(self, obs, action, rounds):
            return Output(
                np.array([[0.0, 3.0], [1.0, 1.0]], np.float32)[: len(obs)] + action[:, None].astype(np.float32)
            )

    data = two_rows(output=np.array([[0.0, 0.0], [3.0, 3.0]]))
    log_probs = torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]).log()
    learner = DSO(tau=2.0, emb_noise=0.0, clip=4.0)
    loss = learner._loss(step_of(data, log_probs, [1, 2]), Written(), np.array([0.05, 0.01], np.float32)).value
    # drawn sentences (1, 4) and (3, 3): distances sqrt(17)/2 and 0
    near, far = gaussian(torch.tensor(0.0), 2.0).item(), gaussian(torch.tensor(17**0.5 / 2), 2.0).item()
    weights = [far / 0.05, min(near / 0.01, 4.0)]
    assert weights[0] < 4 < near / 0.01
    expected = -(weights[0] * 2.0 * np.log(0.3) + weights[1] * -1.0 * np.log(0.1)) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    noisy = replace(learner, emb_noise=1.0)._loss(
        step_of(data, log_probs, [1, 2]), Written(), np.array([0.05, 0.01], np.float32)
    )
    assert noisy.value.item() != pytest.approx(expected, rel=1e-3)


def test_dso_divides_each_round_by_its_own_density(identity, tiny, monkeypatch) -> None:
    class Numbered:
        def density(self, obs, output):
            return 1 + np.arange(len(obs), dtype=np.float32)

    seen = []
    loss = DSO._loss

    def watched(self, step, simulator, density):
        seen.append((step.index, density))
        return loss(self, step, simulator, density)

    monkeypatch.setattr(DSO, "_loss", watched)
    DSO(steps=3).fit(tiny, seed=0, simulator=identity, density=Numbered())
    assert len(seen) == 3
    for index, density in seen:
        np.testing.assert_array_equal(density, 1 + index)


def test_draws_are_the_policys_and_never_of_probability_zero() -> None:
    n = 30_000
    log_probs = masked_log_softmax(
        torch.log(torch.tensor([[0.2, 0.5, 0.3, 1.0]])), torch.tensor([[True, True, True, False]])
    )
    step = Step(np.arange(n), None, None, log_probs.expand(n, 4), Rounds(0, 0, n, "fit/test"))
    counts = np.bincount(step.draw().numpy(), minlength=4)
    assert counts[3] == 0
    np.testing.assert_allclose(counts[:3] / n, [0.2, 0.5, 0.3], atol=0.015)

    class Edge:
        def uniform(self, name):
            return np.full(2, 1 - 2**-53)

    assert Step(np.arange(2), None, None, log_probs.expand(2, 4), Edge()).draw().tolist() == [2, 2]


@pytest.mark.parametrize("learner", ALL.values(), ids=ALL)
def test_no_learner_draws_with_the_logs_own_noise(learner, identity, tiny, monkeypatch) -> None:
    """Were a learner to re-sample outputs with the rounds that were logged, it would see the log's own noise."""
    scopes = set()
    generate = Rounds._generate

    def watched(self, kind, name, width):
        scopes.add(self.scope)
        return generate(self, kind, name, width)

    monkeypatch.setattr(Rounds, "_generate", watched)
    short = replace(learner, steps=5, warmup_steps=5)
    if isinstance(learner, DSO):
        short = replace(short, density_training=DensityTraining(steps=5))
    if isinstance(learner, DirectMethod):
        short = replace(short, reward_training=replace(QUICK_REWARD, steps=5))
    short.fit(tiny, seed=0, simulator=identity)
    assert scopes
    assert all(scope.startswith("fit/") for scope in scopes), scopes
