"""docs/exchange.md: its table of what survives is measured, and its code runs."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prompt_bandits import BanditDataset
from prompt_bandits.exchange import FORMATS, export_dataset, from_pandas, import_dataset, to_pandas

from .full_rounds import FULL, PROMPTS

PAGE = (Path(__file__).parents[2] / "docs/exchange.md").read_text()
CELLS = {
    "features": ("context", "query"),
    "propensity": ("propensity",),
    "masks": ("action_mask",),
    "texts": ("query_text", "output.text"),
    "outputs": ("output.embedding",),
    "ids": ("user_id", "query_id"),
    "keys": ("seed", "round_id"),
    "extras": tuple(f"extras[{name!r}]" for name in ("group", "time", "count", "new", "place")),
    "oracle": ("oracle['expected_reward']",),
}
EXPORTING = {"csv": {"oracle": True}, "jsonl": {"oracle": True}}
IMPORTING = {"open-bandit": {"dim_query": 1}}
DATA = replace(FULL, extras=FULL.extras | {"time": np.array([0.5, np.nan, 1e9, -3.0])})


def table() -> dict[str, dict[str, str]]:
    lines = PAGE.split("## What survives")[1].split("\n\n")[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


def there_and_back(name: str, data: BanditDataset, folder: Path) -> BanditDataset:
    if name == "pandas":
        return from_pandas(to_pandas(data, oracle=True), PROMPTS)
    pytest.importorskip({"huggingface": "datasets"}.get(name, "numpy" if FORMATS[name].extra is None else name))
    file = export_dataset(data, name, folder / f"out.{name}", **EXPORTING.get(name, {}))
    return import_dataset(name, file, **IMPORTING.get(name, {}))


def measured(found: BanditDataset, data: BanditDataset) -> dict[str, str]:
    have, want = found._columns(), data._columns()

    def same(names: tuple[str, ...]) -> bool:
        return all(n in have and have[n].dtype == want[n].dtype and equal(have[n], want[n]) for n in names if n in want)

    def equal(a, b) -> bool:
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))

    assert same(("action", "reward"))
    a, b = found.prompts, data.prompts
    kept = [
        ("ids", np.array_equal(a.prompt_id, b.prompt_id)),
        ("texts", a.text is not None and np.array_equal(a.text, b.text)),
        ("features", np.array_equal(a.embedding, b.embedding)),
    ]
    cells = {cell: "yes" if same(names) and names[0] in want else "no" for cell, names in CELLS.items()}
    return cells | {"prompts": ", ".join(name for name, there in kept if there) or "no"}


def test_the_table_has_every_format_that_can_be_read_back() -> None:
    both = {name for name, format in FORMATS.items() if format.export and format.import_}
    assert set(table()) == both | {"pandas"}


@pytest.mark.parametrize("name", table())
def test_the_table_says_what_survives(name, tmp_path) -> None:
    data = replace(DATA, obs=replace(DATA.obs, action_mask=None)) if name == "vw-cb" else DATA
    assert table()[name] == measured(there_and_back(name, data, tmp_path), data)


def installed(block: str) -> bool:
    """Whether all that a block imports is there."""
    found = [node for node in ast.walk(ast.parse(block)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = [a.name for node in found if isinstance(node, ast.Import) for a in node.names]
    names += [node.module or "" for node in found if isinstance(node, ast.ImportFrom)]
    return all(importlib.util.find_spec(name.split(".")[0]) for name in names)


@pytest.mark.slow
def test_the_code_of_the_page_runs(tmp_path) -> None:
    blocks = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if installed(block)]
    assert len(blocks) > 6
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks))
    subprocess.run([sys.executable, script], cwd=tmp_path, check=True, capture_output=True, text=True)
