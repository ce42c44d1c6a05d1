"""DataFrames: every column comes back as it was."""

from __future__ import annotations

import numpy as np
import pytest

from prompt_bandits import BanditDataset
from prompt_bandits.exchange import from_pandas, to_pandas
from prompt_bandits.exchange.pandas_frames import prompts_from_pandas, prompts_to_pandas
from prompt_bandits.logs import LogColumns

from .full_rounds import FULL, PROMPTS, check_same

pd = pytest.importorskip("pandas")


def test_rounds_come_back() -> None:
    check_same(from_pandas(to_pandas(FULL), PROMPTS), FULL, without=("oracle['expected_reward']",))
    check_same(from_pandas(to_pandas(FULL, oracle=True), prompts_to_pandas(PROMPTS)), FULL)


def test_prompts_come_back() -> None:
    assert prompts_from_pandas(prompts_to_pandas(PROMPTS)).same_as(PROMPTS)
    assert prompts_from_pandas(pd.DataFrame({"text": ["a", "b"]})).text.tolist() == ["a", "b"]


def test_a_folder_gives_the_frame_of_its_rows(logged, tmp_path) -> None:
    logged.save(tmp_path / "data")
    stored = to_pandas(BanditDataset.open(tmp_path / "data"))
    check_same(from_pandas(stored, logged.prompts), from_pandas(to_pandas(logged), logged.prompts))


def test_the_frame_is_what_pandas_reads_of_a_folder(logged, tmp_path) -> None:
    logged.save(tmp_path / "data")
    read = pd.read_parquet(tmp_path / "data/data")
    check_same(
        from_pandas(read[to_pandas(logged).columns], logged.prompts), from_pandas(to_pandas(logged), logged.prompts)
    )


def test_a_frame_of_one_s_own_with_the_columns_comes_in() -> None:
    frame = pd.DataFrame({"context": [[1.0, 2], [3, 4]], "action": [1, 0], "reward": [1, 0], "group": ["a", "b"]})
    data = from_pandas(frame, 3)
    assert (data.n_actions, data.propensity) == (3, None)
    assert data.extras["group"].tolist() == ["a", "b"]


def test_the_frame_is_read_as_a_log_of_one_s_own_too() -> None:
    columns = LogColumns(context="context", action="action", reward="reward", propensity="propensity")
    data = BanditDataset.from_dataframe(to_pandas(FULL), columns)
    np.testing.assert_array_equal(data.obs.context, FULL.obs.context)
    np.testing.assert_array_equal(data.propensity, FULL.propensity)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"context": [[1.0], [1, 2]]}, "context: expected numbers, texts, or arrays of one shape"),
        ({"sentence": ["a", None]}, "sentence: expected a value in every row, row 1 has none"),
        ({"action": [0, 3]}, r"action: expected integers in 0 … 1, got 3 in row 1"),
    ],
)
def test_what_is_no_column_is_told(change, told) -> None:
    good = {"context": [[1.0], [2]], "action": [1, 0], "reward": [1, 0]}
    with pytest.raises(ValueError, match=told):
        from_pandas(pd.DataFrame(good | change), 2)
    with pytest.raises(ValueError, match="columns: expected context in the frame, found action"):
        from_pandas(pd.DataFrame({"action": [1], "reward": [1]}), 2)
