"""A dataset as a folder: Parquet for rows and tables, JSON for what describes them. Nothing pickled.

- `meta/info.json`: schema version, environment spec, seeds, package versions, checksums
- `meta/policies/<k>/`: the logging policies, loadable
- `tables/actions.parquet`: the prompts
- `data/part-00000.parquet`: the rounds (zstd)
- `oracle/part-00000.parquet`: truths for judging, apart from what learners read
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prompt_bandits import saving
from prompt_bandits.datasets.dataset import OWN_COLUMNS, BanditDataset
from prompt_bandits.types import Observation, Output, Prompts

SCHEMA_VERSION = 1
_INFO, _ACTIONS = "meta/info.json", "tables/actions.parquet"
_DATA, _ORACLE = "data/part-00000.parquet", "oracle/part-00000.parquet"
_PACKAGES = ("prompt_bandits", "numpy", "gymnasium", "pyarrow")


def check_free(path: Path, *, overwrite: bool = False) -> None:
    """Refuses a path that holds something else than a dataset to be replaced.

    Raises:
        FileExistsError: something is there.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise FileExistsError(f"{path}: expected no file or an empty folder (save and collect take overwrite=True)")
    if not (path / _INFO).is_file():
        raise FileExistsError(f"{path}: refusing to overwrite what is not a dataset (no {_INFO})")


def save_dataset(data: BanditDataset, path: Path, *, overwrite: bool = False) -> Path:
    """Writes the folder beside its place and moves it there whole, so that a crash leaves no half of one."""
    check_free(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        _write(data, draft)
        draft.chmod(0o755)
        _replace(draft, path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return path


def _replace(draft: Path, path: Path) -> None:
    """Moves `draft` to `path`; what was there is deleted only once that has worked, else put back."""
    if not path.exists():
        draft.rename(path)
        return
    former = draft.with_name(f"{draft.name}.former")
    path.rename(former)
    try:
        draft.rename(path)
    except BaseException:
        former.rename(path)
        raise
    shutil.rmtree(former)


def _write(data: BanditDataset, folder: Path) -> None:
    _write_table(_prompt_columns(data.obs.prompts), folder / _ACTIONS)
    _write_table(_row_columns(data), folder / _DATA)
    if data.oracle:
        _write_table(dict(data.oracle), folder / _ORACLE)
    saved = _save_policies(data, folder)
    info = {
        "schema_version": SCHEMA_VERSION,
        "n_rounds": len(data),
        "n_actions": data.n_actions,
        "propensity": "unknown" if data.propensity is None else "known",
        "seeds": [int(seed) for seed in np.unique(data.seed)],
        "policies": saved,
        "env_spec": None if data.spec is None else dict(data.spec),
        "versions": {name: version(name) for name in _PACKAGES},
        "sha256": {
            str(file.relative_to(folder)): _digest(file) for file in sorted(folder.rglob("*")) if file.is_file()
        },
    }
    (folder / "meta").mkdir(exist_ok=True)
    (folder / _INFO).write_text(json.dumps(info, indent=1))


def load_dataset(path: Path) -> BanditDataset:
    """Reads a dataset folder, checksums first.

    Raises:
        FileNotFoundError: no dataset there.
        ValueError: another schema version, a missing, damaged or foreign file.
    """
    if not (path / _INFO).is_file():
        raise FileNotFoundError(f"{path}: expected a dataset folder with {_INFO}, found none")
    try:
        info = json.loads((path / _INFO).read_text())
        found, checksums = info["schema_version"], dict(info["sha256"])
        n_policies, spec = int(info["policies"]), info["env_spec"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path / _INFO}: damaged: {error!r}") from error
    if found != SCHEMA_VERSION:
        raise ValueError(f"{path}: expected schema version {SCHEMA_VERSION}, got {found!r}")
    _verify(path, checksums)
    rows, table = _read_table(path / _DATA), _read_table(path / _ACTIONS)
    prompts = Prompts(table["prompt_id"], table["embedding"], table.get("text"))
    seen: dict[str, Any] = {name: rows.get(name) for name in Observation.row_fields}
    obs = Observation(prompts=prompts, **seen)
    return BanditDataset(
        obs=obs,
        output=Output.or_none(rows.get("output"), rows.get("sentence")),
        policies=tuple(saving.load(path / "meta/policies" / str(k)) for k in range(n_policies)),
        extras={name.removeprefix("extras."): column for name, column in rows.items() if name.startswith("extras.")},
        oracle=_read_table(path / _ORACLE) if (path / _ORACLE).is_file() else {},
        spec=spec,
        **{name: rows[name] for name in OWN_COLUMNS if name in rows},
    )


def _save_policies(data: BanditDataset, folder: Path) -> int:
    """How many logging policies were saved: all, or none where one of them cannot be."""
    try:
        for k, policy in enumerate(data.policies):
            saving.save(policy, folder / "meta/policies" / str(k))
    except (TypeError, ValueError) as error:
        shutil.rmtree(folder / "meta/policies", ignore_errors=True)
        warnings.warn(f"the logging policy is not saved with the dataset, its propensities are: {error}", stacklevel=5)
        return 0
    return len(data.policies)


def _verify(path: Path, checksums: Mapping[str, str]) -> None:
    for name, expected in checksums.items():
        file = path / name
        if not file.resolve().is_relative_to(path.resolve()):
            raise ValueError(f"{path / _INFO}: names a file outside its folder: {name}")
        if not file.is_file():
            raise ValueError(f"{file}: missing")
        if _digest(file) != expected:
            raise ValueError(f"{file}: damaged or changed (its checksum differs from the one in {_INFO})")


def _digest(file: Path) -> str:
    digest = sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _prompt_columns(prompts: Prompts) -> dict[str, NDArray[Any]]:
    columns = {"prompt_id": prompts.prompt_id, "embedding": prompts.embedding}
    return columns if prompts.text is None else columns | {"text": prompts.text}


def _row_columns(data: BanditDataset) -> dict[str, NDArray[Any]]:
    columns: dict[str, Any] = {name: getattr(data, name) for name in OWN_COLUMNS}
    columns |= {name: getattr(data.obs, name) for name in Observation.row_fields}
    if data.output is not None:
        columns |= {"output": data.output.embedding, "sentence": data.output.text}
    columns |= {f"extras.{name}": column for name, column in data.extras.items()}
    return {name: column for name, column in columns.items() if column is not None}


def _write_table(columns: Mapping[str, NDArray[Any]], file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def to_arrow(name: str, column: NDArray[Any]) -> Any:
        if column.ndim == 1:
            return pa.array(column.tolist(), pa.string()) if column.dtype == object else pa.array(column)
        if column.ndim == 2 and column.dtype != object:
            return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(column).ravel()), column.shape[1])
        raise ValueError(
            f"{name}: expected a column of shape (n,) or (n, d) of numbers or texts, got {column.dtype} {column.shape}"
        )

    file.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({name: to_arrow(name, column) for name, column in columns.items()})
    pq.write_table(table, file, compression="zstd")


def _read_table(file: Path) -> dict[str, NDArray[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def to_numpy(column: Any) -> NDArray[Any]:
        if pa.types.is_fixed_size_list(column.type):
            values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            return np.asarray(values).reshape(len(column), column.type.list_size)
        values = column.to_numpy()
        return np.array(values, dtype=object) if pa.types.is_string(column.type) else np.array(values)

    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{file}: no readable Parquet file: {error}") from error
    return {name: to_numpy(table[name]) for name in table.column_names}
