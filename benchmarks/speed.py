"""Speed and memory, one command: python benchmarks/speed.py

Machines are noisy: what is compared with another library's work (CartPole) is measured in the same process,
interleaved, and reported beside it.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from statistics import median

from measuring import Measurement, report, seconds

ID = "PromptPersonalization-Synthetic-v0"


def import_time() -> str:
    def fresh(module: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True))

    ours = median(fresh("prompt_bandits") for _ in range(5))
    bare = median(fresh("gymnasium") for _ in range(5))
    return f"{ours:.2f} s for the whole process; gymnasium alone {bare:.2f} s (target: < 0.6 s)"


def vector_rounds() -> str:
    import gymnasium as gym

    import prompt_bandits  # noqa: F401

    ours, cartpole = (
        gym.make_vec(ID, num_envs=4096),
        gym.make_vec("CartPole-v1", num_envs=4096, vectorization_mode="vector_entry_point"),
    )
    rates: dict[str, list[float]] = {"ours": [], "cartpole": []}
    for name, env in (("ours", ours), ("cartpole", cartpole)) * 5:
        env.reset(seed=0)
        actions = env.action_space.sample()
        rates[name].append(4096 * 50 / seconds(lambda: [env.step(actions) for _ in range(50)]))  # noqa: B023
    rate, other = median(rates["ours"]), median(rates["cartpole"])
    return (
        f"{rate / 1e6:.2f} million rounds/s; CartPole's native vector: {other / 1e6:.2f} million steps/s (target: >= 1)"
    )


def single_round() -> str:
    import gymnasium as gym

    import prompt_bandits  # noqa: F401

    ours, cartpole = gym.make(ID), gym.make("CartPole-v1")
    ours.reset(seed=0)
    cartpole.reset(seed=0)

    def rounds() -> None:
        for _ in range(3000):
            ours.reset()
            ours.step(5)

    def steps() -> None:
        for _ in range(3000):
            _, _, terminated, truncated, _ = cartpole.step(1)
            if terminated or truncated:
                cartpole.reset()

    pairs = [(seconds(rounds), seconds(steps)) for _ in range(15)]
    ratio = median(a / b for a, b in pairs)
    return f"{median(a for a, _ in pairs) / 3000 * 1e6:.1f} µs, {ratio:.2f} CartPole-v1 steps (target: <= 4)"


def collect_uniform() -> str:
    import prompt_bandits
    from prompt_bandits.policies import Uniform

    n = 500_000
    return f"{n / seconds(lambda: prompt_bandits.collect(ID, Uniform(), n)):,.0f} rows/s (target: >= 500,000)"


def collect_softmax() -> str:
    import prompt_bandits
    from agents.logging_policies import published_logging_policy
    from agents.reward_models import RewardTraining

    policy = published_logging_policy(ID, training=RewardTraining(steps=500, patience=None))
    n = 50_000
    return f"{n / seconds(lambda: prompt_bandits.collect(ID, policy, n)):,.0f} rows/s, 1000 actions (target: >= 15,000)"


def action_values() -> str:
    from prompt_bandits.synthetic import SyntheticConfig

    simulator = SyntheticConfig().build()
    obs = simulator.observe(simulator.rounds(0, 0, 10_000))
    return f"{median(seconds(lambda: simulator.action_values(obs)) for _ in range(5)):.2f} s (target: < 0.5 s)"


def density_model() -> str:
    from agents.density import fit_density_model

    data, simulator = _logged()
    return f"{seconds(lambda: fit_density_model(data, simulator, seed=0)):.1f} s (target: < 20 s)"


def learner_steps(name: str) -> str:
    from agents import learners

    data, simulator = _logged()
    learner = getattr(learners, name)()
    shared = {"density": learner.fit_density(data, simulator, seed=0)} if name == "DSO" else {}
    took = seconds(lambda: learner.fit(data, seed=0, simulator=simulator, **shared))
    return f"{took:.1f} s (target: < 60 s)"


def _logged():  # type: ignore[no-untyped-def]
    import prompt_bandits
    from agents.logging_policies import published_logging_policy
    from agents.reward_models import RewardTraining
    from prompt_bandits.synthetic import SyntheticConfig

    simulator = SyntheticConfig().build()
    policy = published_logging_policy(simulator, seed=1, training=RewardTraining(steps=500, patience=None))
    return prompt_bandits.collect(simulator, policy, 8000), simulator


MEASUREMENTS: dict[str, Measurement] = {
    "import prompt_bandits": import_time,
    "vector environment, 4096 rounds a step": vector_rounds,
    "a round through gym.make (reset + step)": single_round,
    "collect, uniform policy, in memory": collect_uniform,
    "collect, published softmax policy": collect_softmax,
    "all 1000 action values of 10,000 contexts": action_values,
    "density model, 10,000 steps of 32": density_model,
} | {
    f"{name}, 20,000 steps of 32": partial(learner_steps, name)
    for name in ("BehaviourCloning", "DirectMethod", "IPS", "DSO")
}

if __name__ == "__main__":
    report(MEASUREMENTS)
