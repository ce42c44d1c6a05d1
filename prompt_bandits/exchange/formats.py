"""The formats that rounds are exchanged in, by name. Their code is imported when it is asked for."""

from __future__ import annotations

import importlib
import inspect
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from types import MappingProxyType
from typing import Any

from prompt_bandits.datasets.dataset import BanditDataset
from prompt_bandits.exchange.logged import LoggedData


@dataclass(frozen=True)
class Format:
    """A format, and the functions that write and read files of it, as "module:function"."""

    name: str
    about: str  # one line for people
    export: str | None  # (data, path, **options) -> None; None: no files of it are written
    import_: str | None  # (path, **options) -> BanditDataset; None: none are read
    streams: bool = False  # a folder is written a part at a time, so that it may be larger than memory
    extra: str | None = None  # of prompt_bandits, which installs the library that it needs

    def exporter(self) -> Callable[..., None]:
        """What writes it; ValueError where nothing does."""
        return _resolved(self.export, f"format: {self.name} cannot be written to files; {self.about}")

    def importer(self) -> Callable[..., BanditDataset]:
        """What reads it; ValueError where nothing does."""
        return _resolved(self.import_, f"format: {self.name} cannot be read from files; {self.about}")


def export_dataset(data: LoggedData, format: str, path: str | Path, *, overwrite: bool = False, **options: Any) -> Path:
    """Writes rounds in another format, whole or not at all.

    Args:
        data: rounds in memory, or a folder.
        format: one of `FORMATS`.
        path: a new file, or a new folder for formats of several files.
        overwrite: replace a file at `path`; a folder with files is never replaced.
        options: of the format, such as `prompts="text"`.

    Raises:
        ValueError: no such format or option, or rounds that lack what the format needs.
        FileExistsError: something is at `path`.
        ImportError: a library is not installed; the message says how.
    """
    write = format_of(format).exporter()
    _check_options(format, write, options)
    with _whole(Path(path), overwrite) as draft:
        write(data, draft, **options)
    return Path(path)


def import_dataset(format: str, source: str | Path, **options: Any) -> BanditDataset:
    """Reads rounds from another format into memory.

    Args:
        format: one of `FORMATS`.
        source: the file or folder.
        options: of the format.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: no such format or option, or a file that is not of it.
        ImportError: a library is not installed; the message says how.
    """
    read = format_of(format).importer()
    _check_options(format, read, options)
    if not Path(source).exists():
        raise FileNotFoundError(f"{source}: expected a file or folder of format {format}, found none")
    return read(Path(source), **options)


def format_of(name: str) -> Format:
    """The format of that name; ValueError, with the names that there are."""
    if name not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got {name!r}")
    return FORMATS[name]


def options_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The options of what writes or reads a format: its arguments that are given by name."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _check_options(name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    known = options_of(function)
    unknown = sorted(options.keys() - known.keys())
    if unknown:
        expected = f"expected some of {', '.join(known)}" if known else "it has none"
        raise ValueError(f"options of {name}: {expected}, got {', '.join(unknown)}")


def _resolved(written: str | None, refusal: str) -> Callable[..., Any]:
    if written is None:
        raise ValueError(refusal)
    module, _, function = written.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


@contextmanager
def _whole(path: Path, overwrite: bool) -> Iterator[Path]:
    """A place beside `path`, of the same name, that is moved there at the end, together with what else was written
    next to it; on an error nothing is changed.
    """
    _check_free(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield beside / path.name
        made = sorted(beside.iterdir())
        for file in made:
            _check_free(path.with_name(file.name), overwrite)
        for file in made:
            file.replace(path.with_name(file.name))
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _check_free(path: Path, overwrite: bool) -> None:
    if path.is_dir() and any(path.iterdir()):  # whose files these are, nobody knows
        raise FileExistsError(f"{path}: expected nothing there, found a folder with files; remove it first")
    if path.is_file() and not overwrite:
        raise FileExistsError(f"{path}: expected nothing there, found a file; overwrite=True replaces it")


_HERE = "prompt_bandits.exchange"


def _files(name: str, about: str, module: str, *, suffix: str = "_file", **more: Any) -> Format:
    """A format that is both written and read."""
    return Format(name, about, f"{_HERE}.{module}:export{suffix}", f"{_HERE}.{module}:import{suffix}", **more)


_ALL = (
    _files("obp", "Open Bandit Pipeline's bandit_feedback dict, as a .npz file", "obp"),
    _files("open-bandit", "a folder or CSV file in the Open Bandit Dataset's columns", "open_bandit", streams=True),
    _files("vw-cb", "Vowpal Wabbit's text for --cb", "vowpal_wabbit", suffix="_cb_file", streams=True),
    _files("vw-adf", "Vowpal Wabbit's text for --cb_explore_adf", "vowpal_wabbit", suffix="_adf_file", streams=True),
    _files("vw-dsjson", "Vowpal Wabbit's JSON lines for --dsjson", "vowpal_dsjson", streams=True),
    _files("minari", "a folder of Minari's, one-step episodes", "minari", extra="minari"),
    _files("scope-rl", "scope-rl's logged_dataset dict, as a .npz file", "scope_rl"),
    _files("huggingface", "a folder of Hugging Face datasets' save_to_disk", "huggingface", extra="hub"),
    Format("pandas", "a DataFrame in memory, see to_pandas and from_pandas", None, None),
    Format("d3rlpy", "an MDPDataset in memory, see to_d3rlpy and from_d3rlpy", None, None),
    _files("csv", "one CSV row a round, vectors as JSON lists", "csv_files", streams=True),
    _files("jsonl", "one JSON object a round", "json_lines", streams=True),
    Format("trl", "JSON lines of prompt, completion, reward for TRL", f"{_HERE}.trl:export_file", None, streams=True),
    Format("preferences", "JSON lines of prompt, chosen, rejected for TRL", f"{_HERE}.preferences:export_file", None),
)
FORMATS: Mapping[str, Format] = MappingProxyType({format.name: format for format in _ALL})
"""All formats by name."""
