"""Logged data in one call: the fast path over the simulator, row for row what the recording wrapper gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias, overload

import gymnasium as gym
from gymnasium.vector import VectorEnv

from prompt_bandits.checking import check_choice
from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.datasets.places import whole_folder
from prompt_bandits.datasets.stored import StoredDataset
from prompt_bandits.datasets.writer import DatasetWriter
from prompt_bandits.playing import Play
from prompt_bandits.progress import progress_bar
from prompt_bandits.protocols import Policy
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.workers import ENGINES, play_with_workers

Playable: TypeAlias = "str | gym.Env[Any, Any] | VectorEnv[Any, Any, Any] | PromptSimulator"


@overload
def collect(
    env: Playable, policy: Policy, n: int, seed: int = 0, *, path: None = None, start: int = 0, **options: Any
) -> BanditDataset: ...
@overload
def collect(
    env: Playable, policy: Policy, n: int, seed: int = 0, *, path: str | Path, start: int = 0, **options: Any
) -> StoredDataset: ...
def collect(
    env: Playable,
    policy: Policy,
    n: int,
    seed: int = 0,
    *,
    path: str | Path | None = None,
    start: int = 0,
    resume: bool = False,
    workers: int = 1,
    engine: str = "processes",
    overwrite: bool = False,
    progress: bool = True,
    **kwargs: Any,
) -> BanditDataset | StoredDataset:
    """Plays rounds `start … start+n−1` of `seed` with `policy`.

    The rows are those of `RecordBanditDataset(env, logging_policy=policy)` after `reset(seed=seed)`. An environment
    with wrappers that may change rounds is stepped through them; otherwise whole blocks of rounds go through the
    simulator at once. The policy sees blocks of 1024 rounds aligned to absolute multiples, so that rows are bit-equal
    however the range is cut, interrupted or shared among workers.

    Args:
        env: an id, an environment, a vector environment or a simulator.
        policy: the logging policy.
        n: rounds to play.
        seed: of the rounds; under Gymnasium's own vectors sub-environment i has seed + i, as in their `reset`.
        path: write to this new folder as rounds are played, and return a handle to it in place of the rows.
        start: the first round.
        resume: play those of the rounds that are not in the folder at `path` yet, if there is one.
        workers: processes that share the rounds. Each makes environment and policy anew from what the folder at
            `path` says of them; so the environment is one with an id (or a `SyntheticConfig`'s), without wrappers that
            change rounds, and the policy one that can be saved.
        engine: what starts the workers: `"processes"` of this machine, or `"ray"`, which starts those that die anew, on
            the machines of a cluster too. Not for an LLM that has to be asked.
        overwrite: replace a dataset at `path`, once all rounds are played.
        progress: a progress bar on what takes longer than a second, where there is a terminal.
        kwargs: arguments of `gym.make`, with an id.

    Returns:
        The rows, or with a path the folder.

    Raises:
        ValueError: n < 1, a negative start, or a folder of other prompts, policy, environment or NumPy to resume.
        FileExistsError: `path` is taken.
        FolderLocked: another writer is at work at `path`.
        OSError: rows could not be written; those flushed before stay.
    """
    if n < 1 or start < 0 or workers < 1:
        raise ValueError(
            f"collect: expected n >= 1, start >= 0 and workers >= 1, got n={n}, start={start}, workers={workers}"
        )
    if not isinstance(policy, Policy):
        raise TypeError(f"policy: expected an object with `action_dist`, got {policy!r}")
    if kwargs and not isinstance(env, str):
        raise TypeError(f"collect: expected environment arguments only beside an id, got {', '.join(kwargs)}")
    check_choice("engine", engine, ENGINES)
    if path is None and (resume or overwrite or workers > 1 or engine == "ray"):
        raise ValueError("path: expected one with resume, overwrite, several workers or Ray, got none")
    if resume and overwrite:
        raise ValueError("collect: expected resume or overwrite, got both")
    made = gym.make(env, **kwargs) if isinstance(env, str) else env
    try:
        play, span = Play(made, policy, int(seed)), (start, start + n)
        if path is None:
            return BanditDataset.concat(list(_shown(play.rows([span]), n, progress)))
        if not overwrite:
            return _record(play, Path(path), span, resume, workers, engine, progress)
        with whole_folder(Path(path), overwrite=True) as draft:
            _record(play, draft, span, False, workers, engine, progress)
        return StoredDataset.open(path)
    finally:
        if isinstance(env, str):
            made.close()  # type: ignore[union-attr]


def _record(
    play: Play, path: Path, span: tuple[int, int], resume: bool, workers: int, engine: str, progress: bool
) -> StoredDataset:
    """Plays to a folder, which keeps what is flushed whatever happens."""
    if resume:
        play.refuse_resuming()
    with DatasetWriter(path, resume=resume) as writer:
        if writer.description is not None and play.simulator is not None:
            writer.description.check_source(play.simulator.prompts, play.spec)
            writer.description.check_policy(play.policy)
        if workers > 1 or engine == "ray":
            play_with_workers(play, writer, span, workers, engine, progress)
        else:
            missing = writer.keys.missing(play.seed, *span)
            for rows in _shown(play.rows(missing), sum(end - begin for begin, end in missing), progress):
                writer.append(rows)
    return StoredDataset.open(path)


def _shown(parts: Iterator[BanditDataset], n: int, progress: bool) -> Iterator[BanditDataset]:
    """The parts, with a bar."""
    with progress_bar(n, "collect", progress) as bar:
        for rows in parts:
            yield rows
            bar.update(len(rows))
