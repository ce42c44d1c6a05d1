"""`prompt-bandits COMMAND`: finds the command, reads its arguments, says errors in a line."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import Any

STAGES = {
    "logging-policy": "stage 1 alone: make the logging policy, of a reward model (in movie of an online policy)",
    "logged-data": "stage 2 alone: play rounds of the logging policy, fit reward models by action and by output",
    "density": "stage 3 alone: fit the density of outputs, for the methods that divide by it",
    "policy": "stage 4 alone: learn policies, with their learning curves",
    "policy-value": "stage 5 alone: judge policies by their exact value",
}
COMMANDS = {
    "evaluate": "is a policy better than the one that logged? from a folder of logged rounds, with a report",
    "benchmark": "run methods × values × worlds (or datasets × optimisers), or go on with such a run",
    **STAGES,
    "ope-benchmark": "judge estimators of policy values in worlds where the truth is known",
    "report": "write tables, plots and the report of a run anew from its cells",
    "build-movie-assets": "build the assets of MovieDescription-v0, the package's own or from a MovieLens folder",
}
_PROG = "prompt-bandits"
_FAILED, _WRONG, _INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; the exit status: 0 done, 1 something failed, 2 wrong arguments, 130 stopped by Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if given == ["--version"]:
        import prompt_bandits

        print(f"{_PROG} {prompt_bandits.__version__}")
        return 0
    if not given or given[0] not in COMMANDS:
        return _refuse(_unknown(given), _PROG)
    return _run(given[0], given[1:])


def _run(command: str, arguments: list[str]) -> int:
    module = import_module(".stage_command" if command in STAGES else f".{command.replace('-', '_')}", __package__)
    prog = f"{_PROG} {command}"
    about = STAGES.get(command, module.__doc__)
    run = partial(module.run, command) if command in STAGES else module.run
    try:
        with _one_line_errors(prog):
            parsed = _parse(module.Args, arguments, prog, about)
        status: int = run(parsed)
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt as stop:
        same = "the same command, now without --again," if "--again" in arguments else "the same command"
        print(f"\n{str(stop) or 'stopped'}; {same} goes on from there", file=sys.stderr)
        return _INTERRUPTED
    except ValueError as error:
        return _refuse(str(error), prog)
    except (OSError, ImportError, RuntimeError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return _FAILED
    return status


def _parse(args: Any, arguments: list[str], prog: str, about: str | None) -> Any:
    import tyro

    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
    return tyro.cli(args, prog=prog, args=arguments, description=about, config=config)


@contextlib.contextmanager
def _one_line_errors(prog: str) -> Any:
    """What the parser frames in a box becomes one line."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as end:
        if not end.code:
            raise
        lines = [line.strip("│ ") for line in said.getvalue().splitlines() if line.startswith("│")]
        text = " ".join(line for line in lines if line.strip("─"))
        raise SystemExit(_refuse(text.partition(" For full helptext")[0] or said.getvalue(), prog)) from None


def _refuse(error: str, prog: str) -> int:
    print(f"{prog}: {' '.join(error.split())} (see {prog} --help)", file=sys.stderr)
    return _WRONG


def _unknown(given: list[str]) -> str:
    if not given:
        return f"expected a command: {', '.join(COMMANDS)}"
    close = get_close_matches(given[0], COMMANDS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(COMMANDS)}"
    return f"unknown command {given[0]!r}; {hint}"


def _overview() -> str:
    width = max(map(len, COMMANDS))
    commands = [f"  {name:<{width}}  {about}" for name, about in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {_PROG} COMMAND [options]",
            "",
            "Learn which prompt to give a frozen LLM, from logged feedback.",
            "",
            *commands,
            "",
            f"{_PROG} COMMAND --help   every option of a command",
            f"{_PROG} --version        the version",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
