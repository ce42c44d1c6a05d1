"""Rounds with everything that a dataset can hold, hard to write: quotes, line ends, empty texts, two seeds."""

from __future__ import annotations

import numpy as np

from prompt_bandits import BanditDataset, Prompts
from prompt_bandits.types import Observation, Output, text_array

PROMPTS = Prompts(
    np.array([30, 10, 20, 40]),
    np.array([[0.1, 2], [3, 4e-8], [-5, 6], [7, 8]], np.float32),
    text_array(["Be brief.", 'Say "hi",\nthen stop.', "Sei höflich: ¿sí?", "never shown"]),
)
FULL = BanditDataset(
    obs=Observation(
        context=np.array([[0.1, -1], [1e-7, 2], [3, 1 / 3], [0.1, -1]], np.float32),
        prompts=PROMPTS,
        query=np.array([[1], [2], [3], [1]], np.float32),
        user_id=np.array([7, 8, 9, 7]),
        query_id=np.array([0, 1, 2, 0]),
        query_text=text_array(["a film", "", "007", "a film"]),
        action_mask=np.array([[1, 1, 0, 0], [0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 1]], bool),
    ),
    action=np.array([0, 2, 1, 1]),
    reward=np.array([0.1, -2.5, 0.0, 3.0]),
    propensity=np.array([1 / 3, 0.25, 1.0, 0.7]),
    output=Output(
        np.array([[1.5, 0.1], [2, 3], [4, 5], [6, 7]], np.float32),
        text_array(["", 'one,"two"\r\nthree', "1.50", "NA"]),
    ),
    seed=np.array([0, 0, 5, 5]),
    round_id=np.array([0, 1, 0, 2**53 + 1]),
    extras={
        "group": text_array(["a", "", "7", "b"]),
        "time": np.array([0.5, np.nan, 1e12, -3.0]),
        "count": np.array([1, 2, 3, -4]),
        "new": np.array([True, False, True, True]),
        "place": np.array([[1.0, 2.5], [3, 4], [5, 6], [7, 8]]),
    },
    oracle={"expected_reward": np.array([0.2, 0.3, 0.4, 0.5])},
)


def check_same(found: BanditDataset, expected: BanditDataset, *, without: tuple[str, ...] = ()) -> None:
    """That all columns and prompts are equal, those named in `without` being absent."""
    have, want = found._columns(), expected._columns()
    assert set(have) == set(want) - set(without)
    for name, column in have.items():
        np.testing.assert_array_equal(column, want[name], err_msg=name)
        assert column.dtype == want[name].dtype, name
    assert found.prompts.same_as(expected.prompts)
