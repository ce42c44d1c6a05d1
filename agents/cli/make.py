"""Shows an environment: its spaces and arguments, what policies earn in it, and a few rounds of a random policy.

Without ENV it lists the environments of this package.

examples:
  prompt-bandits make
  prompt-bandits make movie
  prompt-bandits make synthetic --env-args n_actions=50 reward_type=binary --rounds 1
  prompt-bandits make synthetic --json
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from .common import Answer, CommonArgs
from .environment_argument import ENVIRONMENTS, EnvArgument, made_env

if TYPE_CHECKING:
    from prompt_bandits.simulator import PromptSimulator

_CONTEXTS = 1_000
_WIDEST = 100


@dataclass(frozen=True)
class Args(CommonArgs):
    """What to show."""

    env: EnvArgument = ""
    """synthetic, movie, or an id that gym.make takes, such as my_package:MyEnv-v0"""
    env_args: tuple[str, ...] = ()
    """arguments of the environment, as name=value: n_actions=50 flatten_obs=true"""
    rounds: int = 2
    """how many to show"""
    seed: int = 0
    """of the rounds"""


def run(args: Args) -> Answer:
    """The environment in words.

    Raises:
        ValueError: no such environment, or arguments that it does not take.
    """
    if not args.env:
        return _listed()
    if args.rounds < 0:
        raise ValueError(f"rounds: expected >= 0, got {args.rounds}")
    from prompt_bandits.mapping import simulator_of

    env = made_env(args.env, args.env_args)
    try:
        spec, simulator = env.unwrapped.spec, simulator_of(env)
        values: dict[str, Any] = {
            "id": None if spec is None else spec.id,
            "observation_space": str(env.observation_space),
            "action_space": str(env.action_space),
            "arguments": arguments_of(simulator),
            "values": values_of(simulator),
        }
    finally:
        env.close()
    more = {} if simulator is None else {"render_mode": "ansi"}
    values["rounds"], cards = _rounds(args, more)
    return Answer("\n".join([*_lines(values), *cards]), values)


def _listed() -> Answer:
    width = max(map(len, ENVIRONMENTS))
    lines = [f"  {name:<{width}}  {full}" for name, full in ENVIRONMENTS.items()]
    text = "\n".join(["environments", *lines, "", "`prompt-bandits make synthetic` shows one"])
    return Answer(text, {"environments": ENVIRONMENTS})


def arguments_of(simulator: PromptSimulator | None) -> dict[str, Any]:
    """The arguments that made a simulator, by name; those of other environments are not known."""
    recipe: Any = None if simulator is None else simulator.recipe
    return asdict(recipe) if is_dataclass(recipe) and not isinstance(recipe, type) else {}


def values_of(simulator: PromptSimulator | None) -> dict[str, Any]:
    """What a random policy and the best one earn, where no costly LLM has to be asked for it."""
    if simulator is None or simulator.is_costly(simulator.observe(simulator.oracle_rounds(1))):
        return {}
    return {
        "uniform": simulator.uniform_value(_CONTEXTS).value,
        "optimal": simulator.optimal_value(_CONTEXTS).value,
        "contexts": _CONTEXTS,
    }


def _lines(values: dict[str, Any]) -> list[str]:
    lines = [
        str(values["id"]),
        f"  observation  {values['observation_space']}",
        f"  action       {values['action_space']}",
    ]
    if values["values"]:
        known = values["values"]
        lines.append(
            f"  value        {known['uniform']:.3f} of a random policy, {known['optimal']:.3f} of the best "
            f"({_CONTEXTS:,} contexts)"
        )
    if values["arguments"]:
        lines.append("  arguments")
        width = max(map(len, values["arguments"]))
        lines += [f"    {name:<{width}}  {_short(value)}" for name, value in values["arguments"].items()]
    return lines


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"


def _rounds(args: Args, more: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Rounds of a random policy, and how the environment shows them."""
    env: gym.Env[Any, Any] = made_env(args.env, args.env_args, **more)
    found, cards = [], []
    try:
        for k in range(args.rounds):
            _, info = env.reset(seed=args.seed if k == 0 else None)
            if k == 0:
                env.action_space.seed(args.seed)
            action = _allowed_action(env, info)
            _, reward, _, _, info = env.step(action)
            found.append({"action": action, "reward": float(reward), "info": dict(info)})
            cards.append(str(env.render()) if more else f"  action {action}, reward {float(reward):+.3f}")
    finally:
        env.close()
    return found, cards


def _allowed_action(env: gym.Env[Any, Any], info: dict[str, Any]) -> Any:
    """A random action; of prompts one that the round allows."""
    mask = info.get("action_mask")
    if mask is not None and isinstance(env.action_space, gym.spaces.Discrete):
        return env.action_space.sample(mask.astype("int8"))
    return env.action_space.sample()
