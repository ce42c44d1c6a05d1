"""Every learner: it learns, repeats itself, leaves its config alone, saves and loads, refuses what it cannot use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import prompt_bandits
from agents import learners
from agents.callbacks import Chain, History, PolicyValue
from agents.clustering import Clustering
from agents.density import DensityTraining, MonteCarloDensity
from agents.kernels import OutputKernel, uniform
from agents.learners import (
    DR,
    DSO,
    IPS,
    POEM,
    POTEC,
    ActorCritic,
    BehaviourCloning,
    DirectMethod,
    Distillation,
    OnlineREINFORCE,
    RewardGreedy,
    SentenceDM,
    SentenceDR,
    SwitchDR,
)
from agents.logging_policies import published_logging_policy
from agents.policies import TwoStage
from agents.reward_models import RewardTraining, fit_output_reward_model
from agents.testing import check_learner, identity_bandit
from prompt_bandits import BanditDataset, collect
from prompt_bandits.acting import prob
from prompt_bandits.policies import EpsilonGreedy, OracleScore, Uniform
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.synthetic import SyntheticConfig
from prompt_bandits.types import Output, Prompts

QUICK_REWARD = RewardTraining(steps=400, patience=None)
FAST = {"steps": 600, "batch_size": 64, "lr": 5e-3}
SHORT = {"steps": 300, "batch_size": 64, "lr": 1e-2}
MODEL = {"reward_training": QUICK_REWARD}
NEAR = {"tau": 0.3, "emb_noise": 0.0}
MONTE_CARLO = {"density_by": "monte_carlo", "density_outputs": 50}
ALL = {
    "behaviour cloning": BehaviourCloning(**FAST),
    "direct method": DirectMethod(**FAST, **MODEL),
    "direct method, sampled": DirectMethod(**FAST, **MODEL, sampled=True),
    "ips": IPS(**FAST),
    "snips": IPS(**FAST, self_normalised=True),
    "poem": POEM(**FAST),
    "dr": DR(**FAST, **MODEL),
    "dr, sampled": DR(**FAST, **MODEL, sampled=True),
    "switch dr": SwitchDR(**FAST, **MODEL, threshold=3.0),
    "potec": POTEC(**SHORT, **MODEL, n_clusters=2),
    "potec, ips": POTEC(**SHORT, **MODEL, n_clusters=2, gradient="ips"),
    "potec, regression": POTEC(**SHORT, **MODEL, n_clusters=2, gradient="regression", sampled=True),
    "potec, outputs": POTEC(**SHORT, **MODEL, n_clusters=3, cluster_by="outputs"),
    "potec, random": POTEC(**SHORT, **MODEL, n_clusters=2, cluster_by="random"),
    "dso": DSO(**FAST, **NEAR, density_training=DensityTraining(steps=1500)),
    "dso, monte carlo": DSO(**FAST, **NEAR, **MONTE_CARLO),
    "dso, nearest": DSO(**FAST, **NEAR, density_by="nearest"),
    "dso, uniform kernel": DSO(**FAST, **NEAR, **MONTE_CARLO, kernel="uniform"),
    "dso, laplace kernel": DSO(**FAST, **NEAR, **MONTE_CARLO, kernel="laplace"),
    "dso, epanechnikov kernel": DSO(**FAST, **NEAR, **MONTE_CARLO, kernel="epanechnikov"),
    "dso, median bandwidth": DSO(**FAST, **MONTE_CARLO, tau="median", emb_noise=0.0),
    "dso, exact": DSO(**FAST, **NEAR, **MONTE_CARLO, expectation="exact", n_inner=2),
    "dso, inner draws": DSO(**FAST, **NEAR, **MONTE_CARLO, n_inner=4),
    "dso, self-normalised": DSO(**FAST, **NEAR, **MONTE_CARLO, self_normalised=True),
    "dso, control variate": DSO(**FAST, **NEAR, **MONTE_CARLO, **MODEL, control_variate=True),
    "distillation": Distillation(**FAST),
    "sentence dm": SentenceDM(**SHORT),
    "sentence dm, pessimistic": SentenceDM(**SHORT, pessimism=1.0),
    "sentence dr": SentenceDR(**SHORT, **NEAR),
}
IMITATE = ("behaviour cloning", "distillation")
NO_NETWORK = {"reward greedy": RewardGreedy(**MODEL)}
ONLINE = {
    "online": OnlineREINFORCE(**FAST),
    "online, mean baseline": OnlineREINFORCE(**FAST, baseline="mean"),
    "actor-critic": ActorCritic(**FAST),
}
LEARN_FROM_REWARDS = {name: learner for name, learner in ALL.items() if name not in IMITATE}
NEURAL = {name: learner for name, learner in ALL.items() if not isinstance(learner, POTEC)}


@pytest.fixture(scope="module")
def identity() -> PromptSimulator:
    return identity_bandit(10)[0]


@pytest.fixture(scope="module")
def tiny() -> BanditDataset:
    return identity_bandit()[1]


def shortened(learner, **changes):
    """The learner with a few steps, its models too."""
    few = {"reward_training": replace(QUICK_REWARD, steps=5), "density_training": DensityTraining(steps=5)}
    return replace(learner, **changes, **{name: value for name, value in few.items() if hasattr(learner, name)})


@pytest.mark.parametrize("name", [*ALL, *NO_NETWORK])
def test_every_learner_passes_the_shared_check(name) -> None:
    check_learner((ALL | NO_NETWORK)[name], optimality=None if name in IMITATE else 0.9)


@pytest.mark.parametrize("network", ["scorer", "pairwise"])
@pytest.mark.parametrize("name", ["direct method", "ips", "dr", "dso, monte carlo", "sentence dm"])
def test_other_networks_learn_the_identity_bandit(name, network, identity, tiny) -> None:
    policy = replace(ALL[name], network=network).fit(tiny, seed=0, simulator=identity)
    assert identity.optimality(policy, 500) > 0.9


@pytest.mark.parametrize("learner", ONLINE.values(), ids=ONLINE)
def test_online_learners_play_and_learn(learner, identity, tiny, tmp_path) -> None:
    policy = learner.fit(seed=0, simulator=identity)
    assert identity.optimality(policy, 500) > 0.9
    again = learner.fit(tiny, seed=0, simulator=identity)
    np.testing.assert_array_equal(policy.action_dist(tiny.obs), again.action_dist(tiny.obs))
    other = learner.fit(seed=1, simulator=identity)
    assert not np.array_equal(policy.action_dist(tiny.obs), other.action_dist(tiny.obs))
    back = prompt_bandits.load(prompt_bandits.save(policy, tmp_path / "p"))
    np.testing.assert_array_equal(policy.action_dist(tiny.obs), back.action_dist(tiny.obs))
    with pytest.raises(ValueError, match="learns by playing; expected an object with"):
        learner.fit(seed=0)
    with pytest.raises(ValueError, match="kl_to_logging, validation_fraction: expected 0 online"):
        replace(learner, kl_to_logging=1.0).fit(seed=0, simulator=identity)


def test_online_in_two_stages_shows_the_best_prompt_of_a_cluster(identity) -> None:
    clustering = Clustering(np.array([0, 0, 1]), np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], np.float32))
    history = History()
    callback = Chain([PolicyValue(identity, 200), history])
    policy = OnlineREINFORCE(**FAST).fit(
        seed=0, simulator=identity, q_hat=OracleQ(identity), clustering=clustering, callback=callback
    )
    assert isinstance(policy, TwoStage)
    assert identity.optimality(policy, 500) > 0.9
    assert history.logs[-1]["policy_value"] == pytest.approx(identity.policy_value(policy, 200).value, abs=1e-6)
    with pytest.raises(ValueError, match="q_hat, clustering: expected both"):
        OnlineREINFORCE(**FAST).fit(seed=0, simulator=identity, clustering=clustering)


def test_dso_and_sentence_learners_work_from_the_log_alone(identity, tiny) -> None:
    """Nobody asks the LLM: a model of the logged outputs stands in."""
    for name in ("dso", "dso, monte carlo", "dso, nearest", "sentence dm", "sentence dr"):
        policy = ALL[name].fit(tiny, seed=0)
        assert identity.optimality(policy, 500) > 0.9, name


def test_distillation_learns_from_any_teacher_on_logged_or_fresh_contexts(identity, tiny) -> None:
    best = EpsilonGreedy(OracleScore(identity))
    for learner in (
        Distillation(**FAST),
        Distillation(**FAST, contexts="simulator"),
        Distillation(**FAST, loss="squared"),
    ):
        policy = learner.fit(tiny, seed=0, simulator=identity, teacher=best)
        assert identity.optimality(policy, 500) > 0.9, learner
    online = Distillation(**FAST, contexts="simulator").fit(seed=0, simulator=identity, teacher=best)
    assert identity.optimality(online, 500) > 0.9
    with pytest.raises(ValueError, match="teacher: expected a policy, or data"):
        Distillation(contexts="simulator").fit(seed=0, simulator=identity)
    with pytest.raises(ValueError, match="data: expected logged rounds"):
        Distillation().fit(seed=0, teacher=best)


def test_behaviour_cloning_finds_the_logging_policy(identity, tiny) -> None:
    policy = BehaviourCloning(steps=1500, batch_size=256, lr=3e-3).fit(tiny, seed=0)
    np.testing.assert_allclose(
        policy.action_dist(tiny.obs.take(slice(0, 50))), tiny.logging_dist(slice(0, 50)), atol=0.06
    )


def test_entropy_keeps_a_policy_from_being_sure(identity, tiny) -> None:
    entropies = []
    for weight in (0.0, 1.0):
        dist = IPS(**FAST, entropy=weight).fit(tiny, seed=0).action_dist(tiny.obs)
        entropies.append(-(dist * np.log(dist + 1e-12)).sum(axis=1).mean())
    assert entropies[0] < 0.3
    assert entropies[1] > 0.8


@pytest.mark.parametrize("name", ["ips", "potec", "sentence dm"])
def test_a_penalty_keeps_a_policy_close_to_the_logging_one(name, identity, tiny) -> None:
    logging = tiny.logging_dist(slice(0, 200))
    apart = []
    for weight in (0.0, 20.0):
        policy = replace(ALL[name], kl_to_logging=weight).fit(tiny, seed=0, simulator=identity)
        dist = policy.action_dist(tiny.obs.take(slice(0, 200)))
        if isinstance(policy, TwoStage):
            dist, logging = (policy.clustering.sum_by_cluster(d) for d in (dist, tiny.logging_dist(slice(0, 200))))
        apart.append(np.abs(dist - logging).max())
    assert apart[0] > 0.3
    assert apart[1] < 0.1
    with pytest.raises(ValueError, match="logging_policy: this dataset carries none"):
        replace(ALL["sentence dm"], kl_to_logging=1.0).fit(replace(tiny, policies=()), seed=0, simulator=identity)


@pytest.mark.parametrize("learner", ALL.values(), ids=ALL)
def test_another_seed_is_another_policy(learner, identity, tiny) -> None:
    probe = tiny.obs.take(slice(0, 9))
    fits = [replace(learner, steps=30).fit(tiny, seed=seed, simulator=identity).action_dist(probe) for seed in (0, 1)]
    assert not np.array_equal(*fits)


@pytest.mark.parametrize("learner", ALL.values(), ids=ALL)
def test_masked_prompts_are_never_taken(learner) -> None:
    simulator = SyntheticConfig(n_actions=6, mask_rate=0.4).build()
    data = collect(simulator, Uniform(), 400)
    policy = replace(learner, steps=50, warmup_steps=20).fit(data, seed=0, simulator=simulator)
    assert policy.action_dist(data.obs)[~data.obs.action_mask].max() == 0


def test_what_is_missing_is_named(identity, tiny) -> None:
    with pytest.raises(ValueError, match="propensity: unknown in this dataset"):
        IPS(steps=5).fit(replace(tiny, propensity=None), seed=0)
    with pytest.raises(ValueError, match="output: no embeddings"):
        DSO(steps=5).fit(replace(tiny, output=None), seed=0, simulator=identity)
    with pytest.raises(ValueError, match="simulator: DSO samples outputs of the frozen LLM"):
        DSO(steps=5).fit(tiny, seed=0, simulator="gpt")
    with pytest.raises(ValueError, match="logging_policy: this dataset carries none"):
        POTEC(steps=5).fit(replace(tiny, policies=()), seed=0)
    with pytest.raises(ValueError, match="logging_policy: expected a dataset that carries exactly one"):
        DSO(steps=5).fit(replace(tiny, policies=()), seed=0, simulator=identity)


def test_given_things_that_are_something_else_are_named(identity, tiny) -> None:
    by_output = fit_output_reward_model(tiny, replace(QUICK_REWARD, steps=5), seed=0)
    by_action = OracleQ(identity)
    for learner in (DirectMethod(), DR(), POTEC(n_clusters=2), RewardGreedy()):
        with pytest.raises(ValueError, match="q_hat: expected a reward model by action"):
            learner.fit(tiny, seed=0, q_hat=by_output)
    for learner in (SentenceDM(), SentenceDR(), DSO(control_variate=True)):
        with pytest.raises(ValueError, match="r_hat: expected a reward model by output"):
            learner.fit(tiny, seed=0, simulator=identity, r_hat=by_action)
    with pytest.raises(ValueError, match="density: expected something with"):
        DSO().fit(tiny, seed=0, simulator=identity, density=3.0)
    with pytest.raises(ValueError, match="outputs: expected an OutputModel"):
        SentenceDM().fit(tiny, seed=0, outputs=identity)
    with pytest.raises(ValueError, match="clustering: expected a Clustering"):
        POTEC().fit(tiny, seed=0, clustering=np.zeros(3))
    with pytest.raises(ValueError, match="simulator: SentenceDM samples outputs of the frozen LLM"):
        SentenceDM().fit(tiny, seed=0, simulator="gpt")


def test_a_simulator_that_writes_something_else_than_the_log_is_named(tiny) -> None:
    class Seven:
        def respond(self, obs, action, rounds):
            return Output(np.zeros((len(obs), 7), np.float32))

    for learner in (SentenceDM(steps=3), DSO(steps=3, density_by="nearest", expectation="exact")):
        with pytest.raises(ValueError, match="output: expected 3 features from the simulator, as in the log, got 7"):
            learner.fit(tiny, seed=0, simulator=Seven())


def test_several_logging_policies_are_refused_before_anything_is_asked(identity, tiny) -> None:
    class Never:
        def respond(self, obs, action, rounds):
            raise AssertionError("the LLM was asked")

    two = replace(tiny, policies=(*tiny.policies, Uniform()), policy_id=np.arange(len(tiny)) % 2)
    with pytest.raises(ValueError, match="logging_policy: expected a dataset that carries exactly one, got 2"):
        SentenceDR().fit(two, seed=0, simulator=Never())


def test_validation_of_potec_needs_the_logging_policy_only(identity, tiny) -> None:
    bare = replace(tiny, propensity=None)
    policy = replace(ALL["potec"], validation_fraction=0.3).fit(bare, seed=0)
    assert identity.optimality(policy, 500) > 0.9


def test_learners_that_need_no_propensity_take_data_without(tiny) -> None:
    bare = replace(tiny, propensity=None, policies=())
    for learner in (BehaviourCloning(steps=5), DirectMethod(steps=5, reward_training=replace(QUICK_REWARD, steps=5))):
        learner.fit(bare, seed=0)


@pytest.mark.parametrize("cls", [getattr(learners, name) for name in learners.__all__ if name != "RewardGreedy"])
def test_defaults_are_the_published_ones_and_run(cls, identity, tiny) -> None:
    learner = cls()
    if cls not in (SentenceDM, SentenceDR):
        assert (learner.optimizer, learner.lr, learner.weight_decay) == ("Adam", 5e-4, 0.0)
        assert (learner.steps, learner.batch_size, learner.hidden) == (20_000, 32, 100)
        assert learner.network == ("pairwise" if cls is POTEC else "mlp")
        assert getattr(learner, "clip", 200.0) == 200.0
    more = {"n_clusters": 3} if cls is POTEC else {}
    shortened(learner, steps=3, **more).fit(tiny, seed=0, simulator=identity)
    assert cls.quick(steps=7).steps == 7


@pytest.mark.parametrize("learner", ALL.values(), ids=ALL)
def test_logs_name_what_is_going_on(learner, identity, tiny) -> None:
    history = History()
    replace(learner, steps=20, log_every=10, validation_fraction=0.2).fit(
        tiny, seed=0, simulator=identity, callback=history
    )
    assert [log["step"] for log in history.logs] == [10, 20]
    expected = {"step", "loss", "logged_action_prob", "validation"}
    if isinstance(learner, IPS | POEM | DR | DSO | SentenceDR):
        expected.add("weight")
    assert expected <= set(history.logs[0])


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
        learner = shortened(learner, steps=10)
        fits = [
            learner.fit(data, seed=0, simulator=identity).action_dist(tiny.obs.take(slice(0, 5)))
            for data in (tiny, lying)
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
        (lambda: DSO(density_by="knn"), "density_by: expected one of function, monte_carlo, nearest"),
        (lambda: DSO(tau="mean"), "tau: expected a number > 0 or 'median', got 'mean'"),
        (lambda: DSO(expectation="mean"), "expectation: expected 'sampled' or 'exact'"),
        (lambda: DSO(n_inner=0), "n_inner: expected >= 1, got 0"),
        (lambda: IPS(entropy=-1.0), "entropy, kl_to_logging: expected >= 0, got -1.0"),
        (lambda: POEM(variance_penalty=-1.0), "variance_penalty: expected >= 0, got -1.0"),
        (lambda: SwitchDR(threshold=-1.0), "threshold: expected >= 0, got -1.0"),
        (lambda: POTEC(cluster_by="words"), "cluster_by: expected one of prompts, outputs, random"),
        (lambda: POTEC(gradient="dm"), "gradient: expected one of dr, ips, regression"),
        (lambda: POTEC(n_clusters=0), "n_clusters: expected >= 1, got 0"),
        (lambda: OnlineREINFORCE(baseline="median"), "baseline: expected 'none' or 'mean'"),
        (lambda: ActorCritic(critic_weight=0.0), "critic_weight: expected > 0, got 0.0"),
        (lambda: Distillation(loss="kl"), "loss: expected one of cross_entropy, squared"),
        (lambda: Distillation(contexts="made up"), "contexts: expected 'logged' or 'simulator'"),
        (lambda: SentenceDM(pessimism=-1.0), "pessimism: expected >= 0, got -1.0"),
        (lambda: SentenceDM(reward_classes=("mlp",)), "reward_classes: expected some of linear, bilinear"),
        (lambda: SentenceDM(reward_training=RewardTraining(loss="bce")), "reward_training: expected loss='mse'"),
        (lambda: SentenceDM(n_outputs=0), "n_outputs, n_members: expected >= 1"),
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


@pytest.mark.parametrize("learner", ALL.values(), ids=ALL)
def test_no_learner_draws_with_the_logs_own_noise(learner, identity, tiny, monkeypatch) -> None:
    """Were a learner to re-sample outputs with the rounds that were logged, it would see the log's own noise."""
    scopes = set()
    generate = Rounds._generate

    def watched(self, kind, name, width):
        scopes.add(self.scope)
        return generate(self, kind, name, width)

    monkeypatch.setattr(Rounds, "_generate", watched)
    shortened(learner, steps=5, warmup_steps=5).fit(tiny, seed=0, simulator=identity)
    assert scopes
    assert all(scope.startswith("fit/") for scope in scopes), scopes
