"""Other engines read our folders as they are: Ray Data, and Hugging Face's datasets as a stream."""

from __future__ import annotations

import numpy as np
import pytest

from prompt_bandits import collect
from prompt_bandits.datasets import StoredDataset, merge
from prompt_bandits.policies import OracleScore, Softmax
from prompt_bandits.ray_workers import start_here


@pytest.fixture(scope="module")
def folder(tmp_path_factory, simulator) -> StoredDataset:
    """3,000 rounds in two shards."""
    path, policy = tmp_path_factory.mktemp("folder"), Softmax(OracleScore(simulator))
    for k in range(2):
        collect(simulator, policy, 1500, start=1500 * k, path=path / str(k))
    return merge([path / "0", path / "1"], into=path / "d")


@pytest.mark.slow
def test_ray_data_reads_the_rounds_of_all_shards(folder) -> None:
    ray = pytest.importorskip("ray")
    data = pytest.importorskip("ray.data")
    start_here(1)
    try:
        data.DataContext.get_current().enable_progress_bars = False
        rows = data.read_parquet(str(folder.path / "data"))
        own = folder.load()
        seen = {}
        for batch in rows.iter_batches(batch_size=512, batch_format="numpy"):
            context = np.stack(batch["context"])
            seen |= dict(zip(batch["round_id"].tolist(), zip(batch["action"], context, strict=True), strict=True))
        assert sorted(seen) == list(range(3000))
        np.testing.assert_array_equal([seen[i][0] for i in own.round_id], own.action)
        np.testing.assert_array_equal([seen[i][1] for i in own.round_id], own.obs.context)
    finally:
        ray.shutdown()


def test_datasets_streams_the_rounds_of_all_shards(folder) -> None:
    datasets = pytest.importorskip("datasets")
    stream = datasets.load_dataset(str(folder.path), "rounds", split="train", streaming=True)
    assert stream.num_shards == 2, "so that two workers of a DataLoader share it"
    own = folder.load()
    rows = list(stream)
    assert [row["round_id"] for row in rows] == own.round_id.tolist()
    np.testing.assert_array_equal([row["context"] for row in rows], own.obs.context)
    np.testing.assert_array_equal([row["propensity"] for row in rows], own.propensity)
    prompts = datasets.load_dataset(str(folder.path), "prompts", split="train", streaming=True)
    np.testing.assert_array_equal([row["embedding"] for row in prompts], folder.prompts.embedding)
    shuffled = [row["round_id"] for row in stream.shuffle(seed=0, buffer_size=500)]
    assert shuffled != own.round_id.tolist()
    assert sorted(shuffled) == list(range(3000))
