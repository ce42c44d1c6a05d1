"""Is it a personalisation problem? Exact values of the best prompts that know more or less of the user and the film."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prompt_bandits.llms.bank import SentenceBank
from prompt_bandits.movie.rewards import SentenceReward
from prompt_bandits.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Personalisation:
    """Values in units of the reward, over users × films, each as likely; without a prompt it is 0."""

    uniform: float
    best_single: float  # one prompt for everybody
    best_by_film: float
    best_by_user: float
    best: float  # a prompt for each user and film
    best_prompt: IntArray  # (n_users,) the best prompt of each user over all films
    share_of_users: FloatArray  # (|A|,) for how many (user, film) each prompt is the best

    @property
    def gain_share(self) -> float:
        """(V(best) − V(best single prompt)) / (V(best) − V(no prompt))."""
        return (self.best - self.best_single) / self.best


def personalisation(
    reward: SentenceReward, bank: SentenceBank, features: FloatArray, users: IntArray
) -> Personalisation:
    """Over the given users and all films; `features` (N, d_f) of the bank's sentences."""
    n_films, n_prompts, n_slots = bank.rows.shape
    total = np.zeros((len(users), n_prompts))
    by_film, best = np.zeros(n_films), 0.0
    counts = np.zeros(n_prompts)
    for film in range(n_films):
        table = reward.expected_table(users, film, features[bank.rows[film].ravel()])
        value = table.reshape(len(users), n_prompts, n_slots).mean(axis=2)
        total += value
        by_film[film] = value.mean(axis=0).max()
        best += value.max(axis=1).mean()
        counts += np.bincount(value.argmax(axis=1), minlength=n_prompts)
    mean = total / n_films
    return Personalisation(
        uniform=float(mean.mean()),
        best_single=float(mean.mean(axis=0).max()),
        best_by_film=float(by_film.mean()),
        best_by_user=float(mean.max(axis=1).mean()),
        best=float(best / n_films),
        best_prompt=mean.argmax(axis=1),
        share_of_users=counts / counts.sum(),
    )
