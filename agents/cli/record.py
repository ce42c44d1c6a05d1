"""Plays rounds of an environment with a policy and writes them to a folder, as they are played.

Ctrl-C keeps what was played; the same command with --resume plays what is missing, and the folder ends with the rounds
of an uninterrupted run, bit for bit. So do several workers. The folder's config.yaml makes it again.

examples:
  prompt-bandits record synthetic --n 10000 --env-args n_actions=50 --out runs/log
  prompt-bandits record synthetic --n 10000 --policy softmax --beta 2 --out runs/softmax
  prompt-bandits record synthetic --n 1000000 --workers 8 --engine ray --out runs/large
  prompt-bandits record movie --n 5000 --policy runs/dr --out runs/by-dr
  prompt-bandits record --config runs/log/config.yaml --out runs/the-same-again
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..configs import read_values
from .common import CONFIG, REPLACE, RESUME, Answer, CommonArgs, Stopped, taken
from .environment_argument import EnvArgument, made_env
from .parsing import store_arguments

_SAME = ("env", "env_args", "seed")


@dataclass(frozen=True)
class Args(CommonArgs):
    """Who plays what, and where it goes."""

    env: EnvArgument
    """synthetic, movie, or an id that gym.make takes, such as my_package:MyEnv-v0"""
    out: Path
    """the folder to write"""
    n: int = 10_000
    """rounds"""
    policy: str = "uniform"
    """uniform; softmax or epsilon-greedy of the true mean rewards; optimal; or the folder of a saved policy"""
    beta: float | None = None
    """of softmax(beta·q): 0 is uniform, large is nearly the best prompt; 1 unless given"""
    epsilon: float | None = None
    """of epsilon-greedy: the share of rounds with any prompt; 0.1 unless given"""
    env_args: tuple[str, ...] = ()
    """arguments of the environment, such as n_actions=50 reward_type=binary (prompt-bandits make ENV lists them)"""
    seed: int = 0
    """of the rounds"""
    workers: int = 1
    """processes that share the rounds"""
    engine: Literal["processes", "ray"] = "processes"
    """what runs the workers"""
    resume: bool = False
    """play the rounds that --out lacks"""
    overwrite: bool = False
    """replace the dataset at --out, once all rounds are played"""


def run(args: Args) -> Answer:
    """How many rounds are where, and what they earned.

    Raises:
        ValueError: a wrong argument.
        FileExistsError: something is at --out, and neither --resume nor --overwrite.
        Stopped: by Ctrl-C, with what is there.
    """
    from prompt_bandits import collect

    from .policy_argument import named_policy

    if args.resume:
        _check_same(args)
    env = made_env(args.env, args.env_args)
    options = {name: getattr(args, name) for name in ("workers", "engine", "resume", "overwrite")}
    try:
        policy = named_policy(args.policy, env, args.beta, args.epsilon)
        data = collect(env, policy, args.n, args.seed, path=args.out, **options)
    except FileExistsError as error:
        raise taken(args.out, RESUME, REPLACE) from error
    except KeyboardInterrupt:
        raise Stopped(_what_is_there(args)) from None
    finally:
        env.close()
    _store(args)
    summary = data.summary()
    size = sum(file.stat().st_size for file in args.out.rglob("*") if file.is_file())
    assert summary.reward is not None
    values = {
        "out": args.out,
        "n": len(data),
        "n_actions": data.n_actions,
        "reward": {"mean": summary.reward.value, "se": summary.reward.se},
        "config": args.out / CONFIG,
    }
    text = f"{len(data):,} rounds in {args.out} ({size / 1e6:,.1f} MB), mean reward {summary.reward}"
    return Answer(f"{text}\n`prompt-bandits inspect {args.out}` shows them", values)


def _check_same(args: Args) -> None:
    """Refuses to go on with a folder that another command line began."""
    file = args.out / CONFIG
    if not file.is_file():
        return
    former = read_values(file)
    for name in _SAME:
        now: Any = getattr(args, name)
        now = list(now) if isinstance(now, tuple) else now
        if former.get(name, now) != now:
            raise ValueError(f"{name}: expected {former[name]!r} as in {file}, got {now!r}")


def _store(args: Args) -> None:
    """The config, beside the rounds; the folder may have more of them than were asked for now."""
    file = args.out / CONFIG
    n = args.n
    if args.resume and file.is_file():
        n = max(n, int(read_values(file).get("n", 0)))
    store_arguments(args, "record", args.out, n=n, resume=False, overwrite=False)


def _what_is_there(args: Args) -> str:
    from prompt_bandits import BanditDataset

    if args.overwrite:
        return f"stopped; {args.out} is as it was"
    try:
        n = len(BanditDataset.open(args.out))
    except (FileNotFoundError, ValueError):
        return "stopped; nothing was written" if not args.out.exists() else f"stopped; see {args.out}"
    _store(args)
    again = "the same command" if args.resume else "the same command with --resume"
    return f"stopped; {n:,} rounds are safe in {args.out}; {again} plays the rest"
