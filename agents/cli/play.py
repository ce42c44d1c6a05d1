"""You are the policy: a user with a query arrives, you choose a prompt, and see the sentence and the reward.

At `>` type the number of a prompt to choose it, a word to search the prompts, Enter for others, ? for help, q to end.
Your mean reward stands beside what a random policy and the best prompts earn in the same rounds.

examples:
  prompt-bandits play movie
  prompt-bandits play movie --rounds 10 --show 12 --out runs/played-by-me
  prompt-bandits play synthetic --env-args n_actions=5
  echo 3 1 4 | tr ' ' '\\n' | prompt-bandits play synthetic --env-args n_actions=5 --json
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .candidates import found_prompts, listed, some_prompts
from .common import RESUME, Answer, CommonArgs, taken
from .environment_argument import EnvArgument, made_env, simulator_in

_HELP = "  a number chooses that prompt · a word searches · Enter shows others · q ends"
_INTERRUPTED = 130


@dataclass(frozen=True)
class Args(CommonArgs):
    """What to play."""

    env: EnvArgument
    """synthetic, movie, or another environment of this kind by its id"""
    env_args: tuple[str, ...] = ()
    """arguments of the environment, as name=value"""
    rounds: int | None = None
    """end after so many; else when you say so"""
    show: int = 8
    """prompts to show at a time"""
    seed: int = 0
    """of the rounds"""
    out: Path | None = None
    """record your rounds to this new folder; they have no propensities, since nobody knows yours"""
    resume: bool = False
    """go on with the rounds at --out"""


@dataclass
class Score:
    """What was earned, and what others would have earned in the same rounds."""

    rewards: list[float] = field(default_factory=list)
    yours: list[float] = field(default_factory=list)  # mean rewards, given the sentence
    best: list[float] = field(default_factory=list)  # of the best prompt; empty where it is not known
    random: list[float] = field(default_factory=list)

    def values(self) -> dict[str, Any]:
        """The means, by name."""
        columns = {"reward": self.rewards, "expected": self.yours, "optimal": self.best, "uniform": self.random}
        return {name: float(np.mean(column)) for name, column in columns.items() if column}

    def __str__(self) -> str:
        if not self.rewards:
            return "no round played"
        means = self.values()
        beside = f" · best prompts {means['optimal']:+.3f} · at random {means['uniform']:+.3f}" if self.best else ""
        n = len(self.rewards)
        return f"{n} round{'s' * (n > 1)} · your mean reward {means['reward']:+.3f}{beside}"


def run(args: Args) -> Answer:
    """Plays until the rounds, the input or the user's patience end.

    Raises:
        ValueError: a wrong argument.
        FileExistsError: something is at --out.
    """
    if args.show < 1 or (args.rounds is not None and args.rounds < 1):
        raise ValueError(f"show, rounds: expected >= 1, got {args.show}, {args.rounds}")
    if args.resume and args.out is None:
        raise ValueError("resume: expected --out beside it, got none")
    env: Any = made_env(args.env, args.env_args)
    simulator_in(env, "play")
    env.unwrapped.render_mode = "ansi"  # not by argument, which a recording would keep
    if args.out is not None:
        from prompt_bandits import RecordBanditDataset

        env = RecordBanditDataset(env, path=args.out, resume=args.resume)
    score, status = Score(), 0
    try:
        _play(env, args, score)
    except EOFError:
        pass
    except FileExistsError as error:
        assert args.out is not None
        raise taken(args.out, RESUME) from error
    except KeyboardInterrupt:
        status = _INTERRUPTED
    finally:
        env.close()
    recorded = f"\nrecorded in {args.out}" if args.out is not None and score.rewards else ""
    values = {"rounds": len(score.rewards), "mean": score.values(), "out": args.out}
    return Answer(f"\n{score}{recorded}", values, status)


def _play(env: Any, args: Args, score: Score) -> None:
    """Rounds until they end; raises an EOFError where the user ends them."""
    print(_HELP)
    while args.rounds is None or len(score.rewards) < args.rounds:
        if score.rewards:
            print(f"\n{score}")
        _, info = env.reset(seed=None if score.rewards else args.seed)
        shown = _lines(env.render())
        print("\n".join(["", *shown]))
        simulator = env.unwrapped.simulator
        obs = simulator.observe(simulator.rounds(info["seed"], info["round_id"], 1))
        while True:
            try:
                _, reward, _, _, info = env.step(_chosen(obs, args, len(score.rewards)))
                break
            except ValueError as error:  # a masked prompt
                print(f"  {error}")
        _add(score, simulator, obs, float(reward), info)
        print("\n".join(_lines(env.render())[len(shown) :]))


def _add(score: Score, simulator: Any, obs: Any, reward: float, info: dict[str, Any]) -> None:
    score.rewards.append(reward)
    score.yours.append(float(info["expected_reward"]))
    if simulator.is_costly(obs):
        return
    allowed = obs.action_mask[0] if obs.action_mask is not None else slice(None)
    values = simulator.action_values(obs).value[0][allowed]
    score.best.append(float(values.max()))
    score.random.append(float(values.mean()))


def _chosen(obs: Any, args: Args, turn: int) -> int:
    """What the user chooses. Raises an EOFError where they end the game."""
    page = 0
    print(listed(obs, some_prompts(obs, args.show, args.seed, turn)))
    while True:
        said = input("> ").strip()
        if said.lower() in ("q", "quit", "exit"):
            raise EOFError
        if said.isdecimal() and int(said) < obs.n_actions:
            return int(said)
        if said == "?":
            print(_HELP)
        elif not said:
            page += 1
            print(listed(obs, some_prompts(obs, args.show, args.seed, turn + 1_000_003 * page)))
        else:
            _search(obs, said, args.show)


def _search(obs: Any, text: str, n: int) -> None:
    if text.lstrip("+-").isdecimal():
        print(f"  expected a number in 0 … {obs.n_actions - 1}, got {text}")
        return
    if obs.prompts.text is None:
        print(f"  these prompts have no texts to search; expected a number in 0 … {obs.n_actions - 1}")
        return
    found = found_prompts(obs, text, n)
    print(listed(obs, found) if len(found) else f"  no prompt is like {text!r}")


def _lines(card: str) -> list[str]:
    """Those of a round's card, without its frame."""
    return [line for line in card.splitlines() if line.strip("─")]
