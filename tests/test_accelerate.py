"""Processes that train together find the parameters that one process finds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("accelerate")

import fitting_together

from agents import processes
from agents.learners import DSO, IPS, POEM, OnlineREINFORCE
from agents.learners.steps import LoggedRows, LoggedSteps
from agents.policies import NeuralPolicy
from agents.processes import Processes, together
from agents.reward_models import RewardTraining, fit_action_reward_model
from agents.segments import Segment
from prompt_bandits.rounds import Rounds, RoundStream


@pytest.fixture(scope="module")
def launched(tmp_path_factory) -> list[dict[str, np.ndarray]]:
    """What each of two processes found."""
    out = tmp_path_factory.mktemp("together")
    command = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    script = Path(fitting_together.__file__)
    subprocess.run([sys.executable, "-m", *command, str(script), str(out)], check=True, env=environment, timeout=300)
    return [dict(np.load(out / f"{k}.npz")) for k in range(2)]


@pytest.fixture(scope="module")
def alone() -> dict[str, np.ndarray]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = fitting_together.fitted()
    torch.set_num_threads(threads)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", list(fitting_together.models()))
def test_two_processes_find_the_parameters_of_one(launched, alone, name) -> None:
    first, second = launched
    np.testing.assert_array_equal(first[name], second[name])
    error = np.abs(first[name] - alone[name])
    if name == "adam":  # divides gradients by their size, so a unit that hardly fires has steps made of rounding
        assert np.mean(error < 1e-5) > 0.95
        assert error.max() < 1e-3
    else:
        assert error.max() < 1e-5


@pytest.mark.slow
def test_each_process_asks_the_llm_for_its_own_rows_and_one_of_them_reports(launched, alone) -> None:
    assert [found["n"] for found in launched] == [2, 2]
    assert launched[0]["asked"] == launched[1]["asked"] == alone["asked"] / 2 == 80 * 16
    assert launched[0]["calls"].tolist() == alone["calls"].tolist() == [20, 40, 60, 80]
    assert launched[1]["calls"].tolist() == []


@pytest.mark.slow
def test_what_is_of_the_whole_minibatch_is_refused_among_several(launched) -> None:
    for found in launched:
        assert str(found["said"]).startswith("self_normalised: expected one process, since it is of the whole")


class OneOfTwo(Processes):
    """The second of two that never meet."""

    n, index = 2, 1


@pytest.fixture
def one_of_two():
    token = processes._current.set(OneOfTwo())
    yield
    processes._current.reset(token)


def test_shares_of_a_minibatch_are_its_rows_with_their_own_draws() -> None:
    whole, part = Rounds(3, 1000, 48, "fit"), OneOfTwo().share(Rounds(3, 1000, 48, "fit"))
    assert part.round_id.tolist() == list(range(1024, 1048))
    np.testing.assert_array_equal(part.integers("row", 7), whole.integers("row", 7)[24:])
    assert Processes().share(whole) is whole
    with pytest.raises(ValueError, match="batch_size: expected a multiple of 2, the number of processes, got 31"):
        OneOfTwo().rows(31)


def test_steps_of_a_share_have_the_rows_of_the_whole_step(logged, one_of_two) -> None:
    policy = NeuralPolicy.initial("mlp", logged.obs.take(slice(0, 1)), hidden=8, seed=0)

    def steps() -> LoggedSteps:
        rows = lambda data: LoggedRows(policy, data, "cpu")  # noqa: E731
        return LoggedSteps(iter([Segment(logged, np.inf)]), rows, lambda _: None, RoundStream(0, "fit/x"), 32)

    share = steps().next().index
    processes._current.set(Processes())
    np.testing.assert_array_equal(share, steps().next().index[16:])


def test_losses_that_are_no_means_are_refused(logged, simulator, one_of_two) -> None:
    for learner, options in (
        (POEM(), {}),
        (OnlineREINFORCE(baseline="mean"), {"simulator": simulator}),
        (DSO(self_normalised=True), {"simulator": simulator}),
    ):
        with pytest.raises(ValueError, match="expected one process, since it is of the whole minibatch, got 2"):
            learner.fit(logged, seed=0, **options)
    with pytest.raises(ValueError, match="batch_size: expected a multiple of 2"):
        fit_action_reward_model(logged, RewardTraining(steps=1, batch_size=3), seed=0)
    IPS(steps=2, batch_size=4).fit(logged, seed=0)


def test_a_process_that_was_launched_alone_trains_alone(monkeypatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with together() as found:
        assert (found.n, found.index, found.is_main) == (1, 0, True)
        assert found.mean({"loss": 2.0}) == {"loss": 2.0}
        found.average_gradients(nn.Linear(1, 1))
    assert processes.current().n == 1
