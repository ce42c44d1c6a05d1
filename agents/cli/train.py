"""Learns a policy from a folder of logged rounds, and writes it to a folder that evaluate, record and
prompt_bandits.load read.

Beside the policy there are config.yaml, which makes it again, curve.jsonl and curve.png. Learners are named as in the
benchmark: ips, snips, dr, switch_dr, poem, direct_method, regression_greedy, potec, dso, dso_dr, sentence_dm,
sentence_dr, behaviour_cloning, … and have the fields that docs/learners.md lists.

examples:
  prompt-bandits train --learner dr --quick --data runs/log --out runs/dr
  prompt-bandits train --learner dso --settings kernel=uniform tau=2 steps=5000 --data runs/log --out runs/dso
  prompt-bandits train --learner direct_method --settings reward_training.steps=500 --data runs/log --out runs/dm
  prompt-bandits train --learner snips --quick --track tensorboard --data runs/log --out runs/snips
  prompt-bandits train --config runs/dr/config.yaml --seed 1 --out runs/dr-seed-1
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from ..configs import to_plain, write_values
from .common import CONFIG, Answer, CommonArgs, Stopped, taken
from .parsing import store_arguments

if TYPE_CHECKING:
    from ..protocols import LoggedData

CURVE, PICTURE, RESULT = "curve.jsonl", "curve.png", "training.json"
_OURS = {CONFIG, CURVE, PICTURE, RESULT, "policy.json", "arrays.safetensors"}


@dataclass(frozen=True)
class Args(CommonArgs):
    """Who learns what from what."""

    data: Path
    """a folder of logged rounds; read a part at a time where it is large"""
    out: Path
    """the folder of the policy"""
    learner: str = "dr"
    """by name, such as dr, dso, sentence_dm, or 'dso[kernel=uniform]'"""
    settings: tuple[str, ...] = ()
    """fields of the learner as name=value: steps=2000 lr=0.001 reward_training.steps=500"""
    quick: bool = False
    """fewer steps in larger batches, for a first look; --settings go before"""
    seed: int = 0
    """of initial weights, minibatches and all other draws"""
    sample: bool = False
    """let it ask the environment that the data comes from for fresh outputs; online learners always do"""
    true_value: int = 0
    """judge the policy by its true value in so many contexts of that environment, in the curve too; 0: don't"""
    track: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """tell these trackers too; wandb goes where WANDB_MODE says, offline if it is offline"""
    project: str = "prompt-bandits"
    """of wandb and trackio"""
    overwrite: bool = False
    """replace the policy at --out"""


def run(args: Args) -> Answer:
    """Where the policy is, and how it came out.

    Raises:
        ValueError: a wrong argument, or data that the learner cannot learn from.
        FileExistsError: something is at --out.
        Stopped: by Ctrl-C; --out is as it was then.
    """
    from prompt_bandits import BanditDataset, save

    from .learner_argument import named_learner
    from .training_curve import callback, draw_curve, tracker_of

    learner, method = named_learner(args.learner, args.settings, quick=args.quick)
    data = BanditDataset.open(args.data)
    simulator = _simulator(data) if args.sample or args.true_value or method.online else None
    with (
        new_folder(args.out, overwrite=args.overwrite) as draft,
        tracker_of(args.track, args.project, args.out, learner) as tracker,
    ):
        store_arguments(args, "train", draft, overwrite=False)
        began = time.monotonic()
        policy = learner.fit(
            data,
            seed=args.seed,
            simulator=simulator if args.sample or method.online else None,
            callback=callback(draft / CURVE, simulator, args.true_value, tracker),
        )
        values = {"learner": method.name, "seconds": time.monotonic() - began, "fields": to_plain(learner)}
        if simulator is not None and args.true_value:
            values |= _true_values(policy, simulator, args.true_value)
        save(policy, draft)
        write_values(values, draft / RESULT)
        drawn = draw_curve(draft / CURVE, draft / PICTURE)
    return Answer(_text(args, values), {"out": args.out, **values, "curve": args.out / PICTURE if drawn else None})


@contextmanager
def new_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder beside `out` that takes its place in the end; on an error or Ctrl-C nothing is changed.

    Raises:
        FileExistsError: something is at `out`: a policy and no `overwrite`, or something else.
        Stopped: by Ctrl-C.
    """
    found = {file.name for file in out.iterdir()} if out.is_dir() else {out.name} if out.exists() else set()
    if found and not (overwrite and found <= _OURS):
        raise taken(out, "--overwrite replaces a policy" if found <= _OURS else "choose another place")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as beside:
        draft = Path(beside) / "new"
        draft.mkdir()
        try:
            yield draft
        except KeyboardInterrupt:
            raise Stopped(f"stopped; {out} is as it was" if found else "stopped; nothing was written") from None
        if out.exists():
            out.rename(Path(beside) / "former")
        draft.rename(out)


def _simulator(data: LoggedData) -> Any:
    """The environment that the data comes from."""
    from prompt_bandits.specs import simulator_from

    if not data.spec:
        raise ValueError("data: expected rounds of an environment with sample, true_value or an online learner")
    return simulator_from(data.spec)


def _true_values(policy: Any, simulator: Any, n: int) -> dict[str, Any]:
    value = simulator.policy_value(policy, n)
    uniform, optimal = simulator.uniform_value(n).value, simulator.optimal_value(n).value
    return {"true_value": {"value": value.value, "se": value.se, "uniform": uniform, "optimal": optimal}}


def _text(args: Args, values: dict[str, Any]) -> str:
    lines = [f"{values['learner']}: a policy in {args.out}, learnt in {values['seconds']:.1f} s from {args.data}"]
    if "true_value" in values:
        true = values["true_value"]
        lines.append(
            f"true value {true['value']:.4f} ± {true['se']:.4f}; at random {true['uniform']:.4f}, "
            f"best prompts {true['optimal']:.4f}"
        )
    if "tensorboard" in args.track:
        from .training_curve import tensorboard_folder

        lines.append(f"`tensorboard --logdir {tensorboard_folder(args.out).parent}` shows the curve")
    evaluate = f"prompt-bandits evaluate --data OTHER_ROUNDS --policy {args.out}"
    return "\n".join([*lines, f"`{evaluate}` says whether it is better, from rounds that it has not seen"])
