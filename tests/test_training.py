"""The optimisation loop: what it minimises, when it stops, what it tells."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from agents.callbacks import Chain, History, JSONLines, PolicyValue
from agents.learners import BehaviourCloning
from agents.training import Loss, TrainingConfig, optimise, torch_seed
from prompt_bandits.policies import Uniform


class Point(nn.Module):
    def __init__(self, at: float = 0.0) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor(at))


def towards(point: Point, target: float):
    return lambda step: Loss((point.x - target) ** 2, {"x": point.x})


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW", "SGD", "Adagrad", "RMSprop", "NAdam", "RAdam", "Adadelta"])
def test_any_torch_optimizer_by_name(optimizer) -> None:
    point = Point()
    lr = 1.0 if optimizer in ("Adadelta", "Adagrad") else 0.05
    config = TrainingConfig(
        optimizer=optimizer, lr=lr, steps=3000 if optimizer == "Adadelta" else 500, weight_decay=1e-6
    )
    optimise(point, towards(point, 1.0), config, label="test")
    assert point.x.item() == pytest.approx(1.0, abs=0.1)


def test_weight_decay_and_lr_reach_the_optimizer() -> None:
    """SGD by hand: x ← x − lr·(gradient + decay·x), from x = 2 with gradient 3."""
    point = Point(2.0)
    config = TrainingConfig(optimizer="SGD", lr=0.1, weight_decay=0.5, steps=1)
    optimise(point, lambda step: Loss(3 * point.x), config, label="test")
    assert point.x.item() == pytest.approx(2 - 0.1 * (3 + 0.5 * 2))


def test_an_optimizer_that_cannot_take_the_settings_is_named() -> None:
    with pytest.raises(ValueError, match="optimizer: Rprop does not take"):
        optimise(Point(), lambda step: None, TrainingConfig(optimizer="Rprop", weight_decay=0.1), label="test")


def test_logs_are_means_since_the_last_log_and_the_last_step_is_one() -> None:
    point, history = Point(), History()
    values = iter(range(1, 8))
    config = TrainingConfig(optimizer="SGD", lr=1e-9, steps=7, log_every=3)
    optimise(point, lambda step: Loss(0 * point.x + next(values)), config, label="test", callback=history)
    assert [(log["step"], log["loss"]) for log in history.logs] == [(3, 2.0), (6, 5.0), (7, 7.0)]


def test_the_best_checkpoint_by_validation_is_kept_unless_the_last_is_asked_for() -> None:
    for checkpoint, expected in (("best", 0.5), ("last", 1.0)):
        point = Point()
        config = TrainingConfig(lr=0.01, steps=500, log_every=1, validation_fraction=0.5, checkpoint=checkpoint)
        validate = lambda point=point: abs(point.x.item() - 0.5)  # noqa: E731
        optimise(point, towards(point, 1.0), config, label="test", validate=validate)
        assert point.x.item() == pytest.approx(expected, abs=0.02)


def test_patience_stops_early() -> None:
    point, history = Point(), History()
    config = TrainingConfig(lr=0.01, steps=5000, log_every=1, validation_fraction=0.5, patience=3)
    optimise(
        point,
        towards(point, 1.0),
        config,
        label="test",
        validate=lambda: abs(point.x.item() - 0.5),
        callback=history,
    )
    scores = [log["validation"] for log in history.logs]
    assert len(scores) == int(np.argmin(scores)) + 1 + 3


def test_a_loss_that_is_not_finite_is_told() -> None:
    point = Point()
    with pytest.raises(FloatingPointError, match="test: the loss is nan by step 10"):
        optimise(point, lambda step: Loss(point.x * float("nan")), TrainingConfig(steps=20, log_every=10), label="test")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "Adamant"}, "optimizer: expected the name of a class in torch.optim, got 'Adamant'"),
        ({"steps": -1}, "steps: expected >= 0, got -1"),
        ({"batch_size": 0}, "batch_size: expected >= 1"),
        ({"lr": 0.0}, "lr, weight_decay: expected > 0 and >= 0"),
        ({"validation_fraction": 1.0}, r"validation_fraction: expected in \[0, 1\)"),
        ({"patience": 0}, "patience: expected >= 1 or None, got 0"),
        ({"optimizer": "LBFGS"}, "optimizer: expected the name"),
        ({"optimizer": "SparseAdam"}, "optimizer: expected the name"),
        ({"checkpoint": "first"}, "checkpoint: expected 'best' or 'last'"),
    ],
)
def test_wrong_settings_are_named(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**changes)


def test_torch_is_seeded_inside_and_left_alone_outside() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with torch_seed(0, "a"):
        one = torch.rand(3)
    assert torch.equal(torch.rand(1), expected)
    with torch_seed(0, "a"):
        assert torch.equal(torch.rand(3), one)
    with torch_seed(0, "b"):
        assert not torch.equal(torch.rand(3), one)


def test_callbacks_chain_and_write_lines(tmp_path, simulator, logged) -> None:
    history = History()
    file = tmp_path / "log.jsonl"
    chain = Chain([PolicyValue(simulator, n=200), JSONLines(file), history])
    BehaviourCloning(steps=20, log_every=10).fit(logged, seed=0, callback=chain)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines == history.logs
    assert [line["step"] for line in lines] == [10, 20]
    assert set(lines[0]) == {"step", "loss", "logged_action_prob", "policy_value"}
    uniform = simulator.policy_value(Uniform(), 200).value
    assert abs(lines[0]["policy_value"] - uniform) < 1


def test_where_every_step_hurts_the_untrained_parameters_are_kept() -> None:
    point = Point()
    config = TrainingConfig(optimizer="SGD", lr=0.1, steps=20, log_every=5)
    optimise(point, towards(point, 1.0), config, label="test", validate=lambda: float(point.x))
    assert point.x.item() == 0.0
