"""Reward models fitted online: a simulator plays fresh rounds under a policy for as long as the training lasts."""

from __future__ import annotations

from math import inf

from prompt_bandits.acting import act
from prompt_bandits.datasets import BanditDataset
from prompt_bandits.policies import Uniform
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import Rounds

from .batch import Batch
from .fresh_pairs import N_JUDGED, fresh_pairs, judged_pairs
from .pair_models import ActionRewardModel, OutputRewardModel
from .protocols import Callback, PlaysRounds
from .reward_models import ByAction, ByOutput, View
from .reward_training import M, Pairs, RewardTraining, new_model, regress


def fit_action_reward_model_online(
    simulator: PlaysRounds,
    training: RewardTraining | None = None,
    *,
    policy: Policy | None = None,
    seed: int,
    callback: Callback | None = None,
) -> ActionRewardModel:
    """q̂(x, a) by regression on fresh rounds, `steps · batch_size` of them, none seen twice.

    Args:
        simulator: plays the rounds, in a scope of their own: never those of a log.
        training: settings. With a `validation_fraction`, 4096 further rounds are held out.
        policy: what chooses the prompts; uniform unless given.
        seed: of the rounds and the initial weights.
        callback: called at every log.

    Raises:
        ValueError: a penalty, or rewards outside [0, 1] with `loss="bce"`.
    """
    training = training or RewardTraining()
    play = _Play(simulator, policy)
    view = ByAction(play.probe.prompts, training.device)
    return _fit(play, ActionRewardModel, view, training, seed, callback)


def fit_output_reward_model_online(
    simulator: PlaysRounds,
    training: RewardTraining | None = None,
    *,
    policy: Policy | None = None,
    seed: int,
    callback: Callback | None = None,
) -> OutputRewardModel:
    """r̂(x, o) by regression on fresh rounds. Args, raises: as `fit_action_reward_model_online`."""
    training = training or RewardTraining()
    view = ByOutput(None, training.device)
    return _fit(_Play(simulator, policy), OutputRewardModel, view, training, seed, callback)


class _Play:
    """Rounds of a simulator as a dataset."""

    def __init__(self, simulator: PlaysRounds, policy: Policy | None) -> None:
        self._simulator, self._policy = simulator, policy or Uniform()
        self.probe = self(Rounds(0, 0, 1, "fit/probe"))

    def __call__(self, rounds: Rounds) -> BanditDataset:
        obs = self._simulator.observe(rounds)
        action, _ = act(self._policy, obs, rounds)
        feedback = self._simulator.play(obs, action, rounds)
        return BanditDataset(obs, action, feedback.reward, output=feedback.output)


def _fit(play: _Play, cls: type[M], view: View, training: RewardTraining, seed: int, callback: Callback | None) -> M:
    training.refuse_pessimism("a policy that plays fresh rounds may try whatever is in doubt")
    model = new_model(cls, play.probe.obs, view.dim(play.probe), training, seed)
    label = f"{view.label}, online"

    def make(rounds: Rounds) -> Pairs:
        data = play(rounds)
        training.check_targets(data.reward)
        batch = Batch.of(data, training.device)
        return Pairs(batch.features, view.logged(batch), batch.reward)

    pairs = fresh_pairs([(make, inf)], training, seed, label)
    judged = judged_pairs(make, N_JUDGED, training, seed, label)
    regress(model, lambda: next(pairs), training, label=label, judged=judged, callback=callback)
    return model
