"""The registry: every format is found, and what goes wrong is told before anything is written."""

from __future__ import annotations

import subprocess
import sys

import pytest

import prompt_bandits.exchange as exchange
from prompt_bandits.exchange import FORMATS, export_dataset, import_dataset
from prompt_bandits.exchange.formats import options_of

from .full_rounds import FULL, check_same

WITH_FILES = [name for name, format in FORMATS.items() if format.export]


@pytest.mark.parametrize("name", WITH_FILES)
def test_what_writes_and_reads_a_format_is_there_and_documented(name) -> None:
    format = FORMATS[name]
    functions = [format.exporter()] if format.import_ is None else [format.exporter(), format.importer()]
    for function in functions:
        assert function.__doc__
        assert len(options_of(function)) < 10


@pytest.mark.parametrize("name", [name for name in exchange.__all__ if name.islower()])
def test_what_the_package_offers_is_there(name) -> None:
    assert callable(getattr(exchange, name))


def test_the_registry_loads_no_library() -> None:
    code = "import prompt_bandits.exchange, sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "pandas", "pyarrow", "datasets", "minari", "d3rlpy", "vowpalwabbit"} & set(out.stdout.split())


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (lambda path: export_dataset(FULL, "obb", path), "format: expected one of obp, open-bandit, .* got 'obb'"),
        (
            lambda path: export_dataset(FULL, "pandas", path),
            "format: pandas cannot be written to files; a",
        ),
        (
            lambda path: export_dataset(FULL, "obp", path, dense=1),
            "options of obp: expected some of pi_b, .* dense",
        ),
        (lambda path: import_dataset("scope-rl", path, n=1), "options of scope-rl: it has none, got n"),
    ],
)
def test_what_is_unknown_is_refused(action, told, tmp_path) -> None:
    with pytest.raises(ValueError, match=told):
        action(tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_a_source_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.csv: expected a file or folder of format csv, found none"):
        import_dataset("csv", tmp_path / "none.csv")


def test_a_file_is_replaced_only_when_told(tmp_path) -> None:
    (tmp_path / "log.prompts.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"log\.prompts\.csv: expected nothing there, found a file"):
        export_dataset(FULL, "csv", tmp_path / "log.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["log.prompts.csv"]
    export_dataset(FULL, "csv", tmp_path / "log.csv", overwrite=True)
    check_same(import_dataset("csv", tmp_path / "log.csv"), FULL, without=("oracle['expected_reward']",))


def test_a_folder_with_files_is_never_replaced(tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.jpg").write_text("cat")
    with pytest.raises(FileExistsError, match="photos: expected nothing there, found a folder with files"):
        export_dataset(FULL, "csv", tmp_path / "photos", overwrite=True)
    assert (tmp_path / "photos/cat.jpg").read_text() == "cat"


def test_an_export_that_fails_leaves_nothing(tmp_path) -> None:
    bad = FULL.take(slice(0, 4))
    bad.extras["time"][0] = float("inf")
    try:
        with pytest.raises(ValueError, match=r"extras\.time: expected no infinite numbers"):
            export_dataset(bad, "jsonl", tmp_path / "log.jsonl")
    finally:
        bad.extras["time"][0] = 0.5
    assert not list(tmp_path.iterdir())
