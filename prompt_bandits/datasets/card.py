"""The README of a dataset's folder."""

from __future__ import annotations

from pathlib import Path

from prompt_bandits.datasets.columns import ORACLE
from prompt_bandits.datasets.files import whole_file
from prompt_bandits.datasets.manifest import Manifest

_CARD = """---
configs:
- config_name: rounds
  data_files: data/*.parquet
  default: true
- config_name: prompts
  data_files: {actions}
{oracle}---

# A logged prompt bandit

{n_rounds:,} logged rounds of a contextual bandit whose action is a prompt, out of {n_actions:,}. The propensities are
{propensity}.

| column | kind |
|---|---|
{columns}

`prompt_bandits.BanditDataset.open(path)` reads this folder, and so do `datasets.load_dataset(path, "rounds")` and
`pandas.read_parquet(path + "/data")`.
"""
_ORACLE = """- config_name: oracle
  data_files: oracle/*.parquet
"""


def write_card(folder: Path, manifest: Manifest) -> None:
    """Writes `README.md`, by whose head Hugging Face's `load_dataset` finds the tables."""
    oracle = any(name.startswith(ORACLE) for name in manifest.columns)
    text = _CARD.format(
        actions=manifest.actions,
        oracle=_ORACLE if oracle else "",
        n_rounds=manifest.n_rounds,
        n_actions=manifest.n_actions,
        propensity="known" if "propensity" in manifest.columns else "unknown",
        columns="\n".join(f"| `{name}` | {kind} |" for name, kind in sorted(manifest.columns.items())),
    )
    with whole_file(folder / "README.md") as stream:
        stream.write(text.encode())
