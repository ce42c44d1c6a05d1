"""A scikit-learn classifier as a prompt policy, learnt from logged data alone.

python examples/sklearn_policy.py                            seconds
python examples/sklearn_policy.py --classifier forest
python examples/sklearn_policy.py --help                     every setting

Choosing a prompt is classification in which only the taken class is ever seen to be right or wrong. Where rewards are
not negative, rows weighted by r/π0(a|x) make a classifier's probabilities proportional to q(x, a), since the mean of
1[a taken]·r/π0(a|x) is q(x, a) for every prompt. Weighted by r alone they are proportional to π0(a|x)·q(x, a): the
favourites of today's policy look best for being taken often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tyro
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import prompt_bandits
from agents import ope
from agents.comparison import compare
from prompt_bandits import BanditDataset, Observation
from prompt_bandits.policies import EpsilonGreedy, Logits, Softmax
from prompt_bandits.synthetic import SyntheticConfig

CLASSIFIERS = {
    "logistic": lambda seed: LogisticRegression(max_iter=1000, random_state=seed),
    "forest": lambda seed: RandomForestClassifier(min_samples_leaf=20, random_state=seed),
}


@dataclass
class Args:
    classifier: Literal["logistic", "forest"] = "logistic"
    """any classifier with predict_proba and sample_weight does"""
    n_actions: int = 10
    """candidate prompts"""
    n: int = 20_000
    """logged rounds to learn from, and as many to judge by"""
    seed: int = 0
    """of rounds and classifier"""


@dataclass(frozen=True, eq=False)
class ClassifierScore:
    """A classifier's probabilities as a score for each prompt: all that somebody else's model has to tell."""

    classifier: Any

    def scores(self, obs: Observation):
        scores = np.zeros((len(obs), obs.n_actions))  # prompts that no row of the log has stay at 0
        scores[:, self.classifier.classes_] = self.classifier.predict_proba(obs.features())
        return scores


def learn(args: Args, log: BanditDataset, weighted: bool) -> EpsilonGreedy:
    """A policy that takes the prompt with the highest class probability."""
    weight = log.reward / log.require_propensity() if weighted else log.reward
    rows = weight > 0
    classifier = CLASSIFIERS[args.classifier](args.seed)
    classifier.fit(log.obs.features()[rows], log.action[rows], sample_weight=weight[rows] / weight[rows].mean())
    return EpsilonGreedy(ClassifierScore(classifier))


def main(args: Args) -> None:
    # 1. Users who like an answer or do not, and a policy of today that has favourites whoever asks.
    simulator = SyntheticConfig(n_actions=args.n_actions, reward_type="binary").build()
    today = Softmax(Logits(np.linspace(0, 2, args.n_actions)))
    log = prompt_bandits.collect(simulator, today, args.n, seed=args.seed)
    print(f"logged data\n{log.summary()}\n")

    # 2. The same classifier with and without propensities.
    policies = {
        "today": today,
        f"{args.classifier}, r/π0": learn(args, log, weighted=True),
        f"{args.classifier}, r only": learn(args, log, weighted=False),
    }

    # 3. What a fresh log says of it, and the truth, which only a simulator knows.
    fresh = prompt_bandits.collect(simulator, today, args.n, seed=args.seed + 1)
    name = f"{args.classifier}, r/π0"
    print(f"{ope.evaluate(policies[name], fresh, [ope.SNIPS()], seed=args.seed, name=name)}\n")
    print(compare(policies, simulator, baseline="today"))


if __name__ == "__main__":
    main(tyro.cli(Args))
