"""`prompt-bandits COMMAND`: finds the command, reads its arguments, gives its answer, says errors in a line."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any

from .commands import COMMANDS, GO_ON, GROUPS, STAGES, module_of
from .common import Answer, Stopped
from .json_values import finite
from .parsing import parse

_PROG = "prompt-bandits"
_FAILED, _WRONG, _INTERRUPTED = 1, 2, 130
_STDOUT, _STDERR = 1, 2  # of every process


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; the exit status: 0 done, 1 something failed, 2 wrong arguments, 130 stopped by Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["help"]:
        given = [*given[1:2], "--help"]
    if given[:1] in (["-h"], ["--help"]):
        return _show(Answer(_overview(), {}), machine=False)
    if given == ["--version"]:
        import prompt_bandits

        return _show(Answer(f"{_PROG} {prompt_bandits.__version__}", {}), machine=False)
    machine = "--json" in given
    if not given or given[0] not in COMMANDS:
        return _show(_failed(ValueError(_unknown(given)), _PROG), machine)
    return _show(_answer(given[0], given[1:], machine), machine)


def _answer(command: str, arguments: list[str], machine: bool) -> Answer:
    """What the command says, or what went wrong."""
    prog = f"{_PROG} {command}"
    try:
        module = module_of(command)
        run = partial(module.run, command) if command in STAGES else module.run
        args = parse(module.Args, arguments, command, prog, STAGES.get(command, module.__doc__))
        with _short_warnings(), _stdout_aside() if machine else contextlib.nullcontext():
            answer: Answer = run(args)
            return answer
    except SystemExit as end:  # help was asked for
        return Answer("", {}, int(end.code or 0))
    except KeyboardInterrupt as stop:
        return Answer("", {}, _INTERRUPTED, (f"\n{_stopped(stop, command, arguments)}",))
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        return _failed(error, prog)


def _stopped(stop: KeyboardInterrupt, command: str, arguments: list[str]) -> str:
    said = str(stop) or "stopped"
    if isinstance(stop, Stopped) or command not in GO_ON:
        return said
    same = "the same command, now without --again," if "--again" in arguments else "the same command"
    return f"{said}; {same} goes on from there"


def _failed(error: Exception, prog: str) -> Answer:
    """An error as a line. What is wrong with arguments is a ValueError everywhere here, or one of Gymnasium's."""
    gymnasium = sys.modules.get("gymnasium")
    wrong = (ValueError, gymnasium.error.Error) if gymnasium else (ValueError,)
    text = " ".join(str(error).split())
    if isinstance(error, wrong):
        return Answer("", {}, _WRONG, (f"{prog}: {text} (see {prog} --help)",))
    if not isinstance(error, (OSError, ImportError, RuntimeError)):
        text = f"{type(error).__name__}: {text} (unexpected; --debug shows where)"
    return Answer("", {}, _FAILED, (f"{prog}: {text}",))


def _show(answer: Answer, machine: bool) -> int:
    """Prints the answer; the exit status. Where an answer has no values, it is an error or help."""
    for line in answer.errors:
        print(line, file=sys.stderr)
    said = answer.text
    if machine and (answer.values or answer.status):
        values = answer.values or {"error": " ".join(answer.errors).strip(), "status": answer.status}
        said = json.dumps(finite(values), ensure_ascii=False, allow_nan=False)
    try:
        if said:
            print(said, flush=True)
    except BrokenPipeError:  # nobody reads on: head, less
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return answer.status


@contextlib.contextmanager
def _stdout_aside() -> Iterator[None]:
    """What is printed meanwhile, by libraries and by other processes too, goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, _STDOUT)
        os.close(kept)


@contextlib.contextmanager
def _short_warnings() -> Iterator[None]:
    """Warnings as lines for users, without the code that gave them."""
    former = warnings.formatwarning
    warnings.formatwarning = lambda message, *where, **more: f"warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = former


def _unknown(given: list[str]) -> str:
    if not given:
        return f"expected a command: {', '.join(COMMANDS)}"
    close = get_close_matches(given[0], COMMANDS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(COMMANDS)}"
    return f"unknown command {given[0]!r}; {hint}"


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"usage: {_PROG} COMMAND [options]", "", "Learn which prompt to give a frozen LLM, from logged feedback."]
    for group, commands in GROUPS.items():
        lines += ["", group, *(f"  {name:<{width}}  {about}" for name, about in commands.items())]
    return "\n".join([*lines, "", *_MORE])


_MORE: tuple[Any, ...] = (
    "a first walk",
    f"  {_PROG} play movie",
    f"  {_PROG} record synthetic --n 10000 --env-args n_actions=50 --out runs/log",
    f"  {_PROG} record synthetic --n 10000 --env-args n_actions=50 --seed 1 --out runs/held-out",
    f"  {_PROG} train --learner dr --quick --data runs/log --out runs/dr",
    f"  {_PROG} evaluate --data runs/held-out --policy runs/dr",
    "",
    f"{_PROG} COMMAND --help   every option of a command, with examples",
    f"{_PROG} --version        the version",
    "Of every command: --json for one JSON object, --debug for tracebacks, --config FILE for options from a file.",
)


if __name__ == "__main__":
    sys.exit(main())
