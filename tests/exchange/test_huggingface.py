"""Hugging Face's datasets: in memory, on disk, and streamed from a folder of ours."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from prompt_bandits import Prompts
from prompt_bandits.exchange import export_dataset, import_dataset
from prompt_bandits.exchange.huggingface import from_huggingface, to_huggingface

from .full_rounds import FULL, check_same

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def offline(monkeypatch) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")


def test_all_columns_prompts_and_oracle_come_back() -> None:
    check_same(from_huggingface(to_huggingface(FULL)), FULL)


def test_oracle_columns_are_apart_from_what_learners_read() -> None:
    tables = to_huggingface(FULL)
    assert list(tables) == ["rounds", "prompts", "oracle"]
    assert tables["oracle"].column_names == ["expected_reward"]
    assert not any("oracle" in name for name in tables["rounds"].column_names)
    assert tables["rounds"].features["context"] == datasets.List(datasets.Value("float32"), length=2)
    assert tables["prompts"]["text"][:1] == ["Be brief."]
    assert list(to_huggingface(replace(FULL, oracle={}))) == ["rounds", "prompts"]


def test_save_to_disk_comes_back(tmp_path) -> None:
    path = export_dataset(FULL, "huggingface", tmp_path / "disk")
    assert isinstance(datasets.load_from_disk(str(path)), datasets.DatasetDict)
    check_same(import_dataset("huggingface", path), FULL)


def test_rounds_alone_need_prompts(tmp_path) -> None:
    rounds = to_huggingface(FULL)["rounds"]
    rounds.save_to_disk(tmp_path / "rounds")
    without = ("oracle['expected_reward']",)
    check_same(import_dataset("huggingface", tmp_path / "rounds", prompts=FULL.prompts), FULL, without=without)
    assert from_huggingface(rounds, prompts=4).prompts.same_as(Prompts.one_hot(4))
    with pytest.raises(ValueError, match="prompts: expected a table of them, or their number, got none"):
        from_huggingface(rounds)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_folder_of_ours_is_loaded_by_its_configurations(streaming, tmp_path) -> None:
    folder = FULL.save(tmp_path / "ours")
    options = {"split": "train", "streaming": streaming, "cache_dir": str(tmp_path / "cache")}
    tables = {name: datasets.load_dataset(str(folder), name, **options) for name in ("rounds", "prompts", "oracle")}
    check_same(from_huggingface(tables), FULL)


def test_a_folder_of_ours_streams_as_parquet(tmp_path, logged) -> None:
    folder = logged.save(tmp_path / "ours")
    rounds = datasets.load_dataset("parquet", data_files=f"{folder}/data/*.parquet", split="train", streaming=True)
    assert isinstance(rounds, datasets.IterableDataset)
    assert next(iter(rounds))["propensity"] == logged.propensity[0]
    back = from_huggingface(rounds.filter(lambda row: row["action"] == 3), prompts=logged.prompts)
    check_same(back, logged.take(logged.action == 3), without=("oracle['expected_reward']",))


def test_a_dataset_of_others_with_our_names_is_taken() -> None:
    others = datasets.Dataset.from_dict(
        {"context": [[0.5, 1.0], [1.5, 2.0]], "action": [1, 0], "reward": [1.0, 0.0], "extras.where": ["a", "b"]}
    )
    back = from_huggingface(others, prompts=2)
    np.testing.assert_array_equal(back.obs.context, [[0.5, 1], [1.5, 2]])
    assert back.extras["where"].tolist() == ["a", "b"]
    assert back.propensity is None


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"prompts": None}, "prompts: expected a table of them"),
        ({"rounds": [1, 2], "prompts": 2}, "rounds: expected a datasets.Dataset or IterableDataset, got list"),
        (
            {"rounds": datasets.Dataset.from_dict({"reward": [1.0]}), "prompts": 2},
            "rounds: expected columns context, action and reward, no context, action found",
        ),
        (
            {
                "rounds": to_huggingface(FULL)["rounds"],
                "prompts": datasets.Dataset.from_dict({"prompt": ["Be brief."]}),
            },
            "prompts: expected columns prompt_id and embedding, got prompt",
        ),
        (
            to_huggingface(FULL) | {"oracle": datasets.Dataset.from_dict({"expected_reward": [1.0]})},
            "oracle: expected 4 rows, one a round, got 1",
        ),
    ],
)
def test_what_does_not_fit_is_named(tables, message) -> None:
    with pytest.raises(ValueError, match=message):
        from_huggingface(tables)


def test_without_datasets_the_message_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r'needs datasets: pip install "prompt_bandits\[hub\]"'):
        to_huggingface(FULL)


def test_progress_bars_are_as_before(tmp_path) -> None:
    datasets.enable_progress_bars()
    export_dataset(FULL, "huggingface", tmp_path / "disk")
    assert not datasets.utils.are_progress_bars_disabled()
