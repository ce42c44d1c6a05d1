"""Processes that Ctrl-C reaches."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def interruptible(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The command, running, which is dead at the end."""
    default = {"stderr": subprocess.PIPE, "text": True, "preexec_fn": heeds_ctrl_c}
    with subprocess.Popen(command, **{**default, **options}) as process:
        try:
            yield process
        finally:
            process.kill()


def heeds_ctrl_c() -> None:
    """What is started in the background of a script ignores Ctrl-C, and so does all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
