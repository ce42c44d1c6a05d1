"""Logged data in one call: the fast path over the simulator, row for row what the recording wrapper gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

from prompt_bandits.acting import act
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.storage import check_free
from prompt_bandits.mapping import simulator_of
from prompt_bandits.progress import progress_bar
from prompt_bandits.protocols import Policy
from prompt_bandits.rounds import BLOCK
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.specs import simulator_spec, stored_spec
from prompt_bandits.wrappers import RecordBanditDataset, RecordBanditDatasetVector

_TRANSPARENT = (PassiveEnvChecker, OrderEnforcing)


def collect(
    env: str | gym.Env[Any, Any] | VectorEnv[Any, Any, Any] | PromptSimulator,
    policy: Policy,
    n: int,
    seed: int = 0,
    path: str | Path | None = None,
    start: int = 0,
    *,
    overwrite: bool = False,
    progress: bool = True,
    **kwargs: Any,
) -> BanditDataset:
    """Plays rounds `start … start+n−1` of `seed` with `policy` and returns them as a dataset.

    The rows are those of `RecordBanditDataset(env, logging_policy=policy)` after `reset(seed=seed)`. An environment
    with wrappers that may change rounds is stepped through them; otherwise whole blocks of rounds go through the
    simulator at once. The policy sees blocks of 1024 rounds aligned to absolute multiples, so that rows are bit-equal
    however the range is cut.

    Args:
        env: an id, an environment, a vector environment or a simulator.
        policy: the logging policy.
        n: rounds to play.
        seed: of the rounds; under Gymnasium's own vectors sub-environment i has seed + i, as in their `reset`.
        path: also save the dataset to this new folder.
        start: the first round.
        overwrite: replace a dataset at `path`.
        progress: a progress bar on what takes longer than a second, where there is a terminal.
        kwargs: arguments of `gym.make`, with an id.

    Raises:
        ValueError: n < 1 or a negative start.
        FileExistsError: `path` is taken.
    """
    if n < 1 or start < 0:
        raise ValueError(f"collect: expected n >= 1 and start >= 0, got n={n}, start={start}")
    if not isinstance(policy, Policy):
        raise TypeError(f"policy: expected an object with `action_dist`, got {policy!r}")
    if kwargs and not isinstance(env, str):
        raise TypeError(f"collect: expected environment arguments only beside an id, got {', '.join(kwargs)}")
    if path is not None:
        check_free(Path(path), overwrite=overwrite)
    made = gym.make(env, **kwargs) if isinstance(env, str) else env
    data = _play(made, policy, n, int(seed), start, progress)
    if isinstance(env, str):
        made.close()  # type: ignore[union-attr]
    if path is not None:
        data.save(path, overwrite=overwrite)
    return data


def _play(env: Any, policy: Policy, n: int, seed: int, start: int, progress: bool) -> BanditDataset:
    if isinstance(env, PromptSimulator):
        return _simulate(env, policy, n, seed, start, simulator_spec(env), progress)
    simulator = None if _may_change_rounds(env) else simulator_of(env)
    if simulator is not None:
        return _simulate(simulator, policy, n, seed, start, stored_spec(env), progress)
    return _step(env, policy, n, seed, start, progress)


def _may_change_rounds(env: Any) -> bool:
    while isinstance(env, (gym.Wrapper, VectorWrapper)):
        if not isinstance(env, _TRANSPARENT):
            return True
        env = env.env
    return False


def _simulate(
    simulator: PromptSimulator, policy: Policy, n: int, seed: int, start: int, spec: dict[str, Any], progress: bool
) -> BanditDataset:
    parts = []
    with progress_bar(n, "collect", progress) as bar:
        for base in range(start - start % BLOCK, start + n, BLOCK):
            first, last = max(start, base) - base, min(start + n, base + BLOCK) - base
            parts.append(_simulate_block(simulator, policy, seed, base, first, last, spec))
            bar.update(last - first)
    return BanditDataset.concat(parts)


def _simulate_block(
    simulator: PromptSimulator, policy: Policy, seed: int, base: int, first: int, last: int, spec: dict[str, Any]
) -> BanditDataset:
    """Rounds base+first … base+last−1; the policy sees the whole block, the LLM only these rounds."""
    block = simulator.rounds(seed, base, BLOCK)
    obs = simulator.observe(block)
    action, propensity = act(policy, obs, block)
    rounds, rows = block.part(first, last), slice(first, last)
    feedback = simulator.play(obs.take(rows), action[rows], rounds)
    return BanditDataset(
        obs=obs.take(rows),
        action=action[rows],
        reward=feedback.reward,
        propensity=propensity[rows],
        output=feedback.output,
        seed=np.full(last - first, seed, dtype=np.int64),
        round_id=rounds.round_id,
        policies=(policy,),
        oracle={"expected_reward": feedback.expected_reward},
        spec=spec,
    )


def _step(env: Any, policy: Policy, n: int, seed: int, start: int, progress: bool) -> BanditDataset:
    """Through the wrappers, a round or a batch of rounds at a time."""
    if start and simulator_of(env) is None:
        raise ValueError(f"start: expected 0 for an environment that numbers no rounds, got {start}")
    options = {"round": start} if start else None
    if isinstance(env, VectorEnv):
        recorder: Any = RecordBanditDatasetVector(env, logging_policy=policy)
    else:
        recorder = RecordBanditDataset(env, logging_policy=policy)
    recorder.reset(seed=seed, options=options)
    with progress_bar(n, "collect", progress) as bar:
        done = 0
        while done < n:
            _, _, terminated, truncated, _ = recorder.act()
            bar.update(recorder.n_recorded - done)
            done = recorder.n_recorded
            if not isinstance(env, VectorEnv) and (terminated or truncated) and done < n:
                recorder.reset()
    return recorder.dataset().take(slice(0, n))  # type: ignore[no-any-return]
