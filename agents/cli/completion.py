"""Prints the script that completes commands, options and choices in a shell.

examples:
  prompt-bandits completion bash > ~/.local/share/bash-completion/completions/prompt-bandits
  prompt-bandits completion zsh > ~/.zfunc/_prompt-bandits
  prompt-bandits completion fish > ~/.config/fish/completions/prompt-bandits.fish

Then start a new shell. For zsh, ~/.zshrc has `fpath=(~/.zfunc $fpath)` before `autoload -U compinit; compinit`.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from .commands import COMMANDS, module_of
from .common import Answer, CommonArgs

Shell = Literal["bash", "zsh", "fish"]


@dataclass(frozen=True)
class Args(CommonArgs):
    """Which script."""

    shell: Annotated[Shell, tyro.conf.Positional]
    """yours"""


def run(args: Args) -> Answer:
    """The script."""
    script = script_for(args.shell)
    return Answer(script, {"shell": args.shell, "script": script})


def script_for(shell: Shell) -> str:
    """The script of all commands.

    Raises:
        RuntimeError: the parser does not know this shell.
    """
    from tyro.extras import subcommand_cli_from_dict

    commands: dict[str, Any] = {name: module_of(name).Args for name in COMMANDS}
    printed, said = io.StringIO(), io.StringIO()
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
            subcommand_cli_from_dict(
                commands, prog="prompt-bandits", config=config, args=["--tyro-print-completion", shell]
            )
    except SystemExit as end:
        if end.code:
            raise RuntimeError(said.getvalue().strip() or f"no completion for {shell}") from None
    return printed.getvalue().rstrip()
