"""Is a policy better than the one that logged, or than another one? Says so by the log alone: a table with intervals
and warnings, a verdict, and a report to read and to pass on.

The first estimator gives the verdict, the others stand beside it: unless told dr, which is right if the logged
propensities are, steadier than weights alone, and whose interval knows its whole error.

examples:
  prompt-bandits evaluate --data runs/held-out --policy runs/dr
  prompt-bandits evaluate --data runs/held-out --policy runs/dso --baseline runs/dr --estimators dr snips
  prompt-bandits evaluate --data runs/log-without-propensities --policy runs/dr --propensities estimated --json
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .common import Answer, CommonArgs, Stopped
from .json_values import finite
from .parsing import store_arguments

if TYPE_CHECKING:
    from ..ope.comparing import Comparison
    from ..ope.estimators import Estimator

REPORT, VALUES = "report.html", "evaluation.json"
_NOT_SHOWN = ("out", *(f.name for f in fields(CommonArgs)))


@dataclass(frozen=True)
class Args(CommonArgs):
    """Rounds and policies are folders, as `collect(path=...)` and `prompt_bandits.save` write them."""

    data: Path
    """logged rounds, that the policy has not learnt from; read a part at a time"""
    policy: Path
    """the new policy"""
    baseline: str = "logging"
    """what it would replace: logging, the policy that logged the rounds, or the folder of another one"""
    out: Path = Path("runs/evaluation")
    """where report.html and evaluation.json go"""
    estimators: tuple[str, ...] = ("dr", "snips", "ips", "dm")
    """the first gives the verdict; such as dr 'ips[clip=10]' 'dros[lambda=1]', or all"""
    interval: str = "student_t"
    """student_t, bootstrap, empirical_likelihood, ...; hoeffding and empirical_bernstein need --reward-range"""
    level: float = 0.95
    """of the intervals; the verdict is sure where the interval of the difference leaves out 0"""
    propensities: Literal["logged", "estimated"] = "logged"
    """estimated: fitted to the rounds, where the log has none or wrong ones"""
    reward_range: tuple[float, float] | None = None
    """the lowest and the highest possible reward"""
    folds: int = 5
    """of cross-fitting reward models: each round is judged by a model that has not seen it"""
    steps: int | None = None
    """of training a reward model at most; 5000 unless given"""
    memory_mb: int = 256
    """about what rounds may take in memory at a time"""
    seed: int = 0
    """of all that is fitted and drawn"""


def run(args: Args) -> Answer:
    """The table, the verdict and where the report is.

    Raises:
        FileNotFoundError: a folder with nothing in it.
        ValueError: a wrong argument, or rounds that cannot be evaluated.
    """
    try:
        compared = compare(args)
        write(compared, args)
    except KeyboardInterrupt:
        raise Stopped("stopped; nothing was written") from None
    lines = [compared.text(max(60, min(120, shutil.get_terminal_size((110, 0)).columns)))]
    if args.propensities == "logged" and any("propensity: unknown" in reason for reason in compared.verdict.reasons):
        lines.append("Where nobody wrote down the probabilities, --propensities estimated fits them to the rounds.")
    lines.append(f"\n{args.out / REPORT} says it with a plot, and what every warning means.")
    return Answer("\n".join(lines), compared.to_dict())


def compare(args: Args) -> Comparison:
    """Evaluates the policy, and the baseline where it is another one than the logging policy. Raises as `run`."""
    from prompt_bandits.datasets import BanditDataset

    from ..ope.comparing import Comparison
    from ..ope.evaluate import evaluate
    from ..reward_training import RewardTraining

    estimators = estimators_of(args.estimators)
    data = BanditDataset.open(args.data)
    options: dict[str, Any] = {
        "training": None if args.steps is None else RewardTraining(steps=args.steps),
        **{name: getattr(args, name) for name in ("propensities", "folds", "seed", "level", "interval")},
        **{name: getattr(args, name) for name in ("reward_range", "memory_mb")},
    }
    new, other = _policy(args.policy, "policy"), None
    if args.baseline != "logging":
        other = _policy(Path(args.baseline), "baseline")
    found = evaluate(new, data, estimators, name=_name(args.policy), **options)
    baseline = None
    if other is not None:
        baseline = evaluate(other, data, estimators, name=_name(Path(args.baseline)), models=found.models, **options)
    return Comparison(found, estimators[0].name, baseline)


def estimators_of(names: Sequence[str]) -> list[Estimator]:
    """Those of these names; "all" are all that need no settings, dr first.

    Raises:
        ValueError: an unknown one.
    """
    from ..ope.named_estimators import estimator_classes, estimator_named

    if tuple(names) != ("all",):
        return [estimator_named(name) for name in names]
    made: dict[str, Callable[[], Estimator]] = {"dr": estimator_classes()["dr"], **estimator_classes()}
    return [make() for make in made.values() if _needs_nothing(make)]


def _needs_nothing(make: Callable[[], Any]) -> bool:
    from inspect import Parameter, signature

    return all(one.default is not Parameter.empty for one in signature(make).parameters.values())


def _policy(folder: Path, argument: str) -> Any:
    """Raises:
    FileNotFoundError, ValueError: no policy there.
    """
    from prompt_bandits import load
    from prompt_bandits.protocols import Policy

    found = load(folder)
    if not isinstance(found, Policy):
        raise ValueError(
            f"{argument}: expected the folder of a policy, got that of a {type(found).__name__} in {folder}"
        )
    return found


def _name(folder: Path) -> str:
    return folder.resolve().name


def write(compared: Comparison, args: Args) -> None:
    """Writes the report and the values; each whole, or not at all."""
    from prompt_bandits.datasets.files import whole_file

    from ..ope.report import report

    settings = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(args).items()}
    shown = {name: value for name, value in settings.items() if name not in _NOT_SHOWN}
    page = report(compared, shown)
    with whole_file(args.out / REPORT) as stream:
        stream.write(page.encode())
    values = {**compared.to_dict(), "settings": shown}
    with whole_file(args.out / VALUES) as stream:
        stream.write(json.dumps(finite(values), indent=1, ensure_ascii=False, allow_nan=False).encode())
    store_arguments(args, "evaluate", args.out)
