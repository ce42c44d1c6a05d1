"""Every estimator by hand, on three rounds."""

from __future__ import annotations

import numpy as np
import pytest

from agents.ope import evaluate
from agents.ope.estimators import DM, DR, IPS

from .three_rounds import POLICY, ByPrompt, three_rounds

BY_HAND = {
    # w·r: 0.4·1, 1.6·2, 4·5
    IPS(): [0.4, 3.2, 20],
    # the third weight is 2
    IPS(clip=2.0): [0.4, 3.2, 10],
    # Σ_a π·q̂ = 0.2·0 + 0.8·1
    DM(): [0.8, 0.8, 0.8],
    # 0.8 + w·(r − q̂): 0.8 + 0.4·(1 − 0), 0.8 + 1.6·(2 − 1), 0.8 + 4·(5 − 1)
    DR(): [1.2, 2.4, 16.8],
    # 0.8 + 2·(5 − 1) in the third
    DR(clip=2.0): [1.2, 2.4, 8.8],
}


@pytest.mark.parametrize("estimator", BY_HAND, ids=lambda one: one.name)
def test_round_values_by_hand(estimator) -> None:
    found = evaluate(POLICY, three_rounds(), [estimator], q_hat=ByPrompt())[estimator.name]
    expected = np.array(BY_HAND[estimator])
    np.testing.assert_allclose(found.round_values, expected, rtol=1e-9)
    assert found.value == pytest.approx(expected.mean())
    assert found.se == pytest.approx(expected.std(ddof=1) / np.sqrt(3), abs=1e-12)


def test_names_say_what_is_not_the_default() -> None:
    assert [one.name for one in (IPS(), IPS(clip=2.5), DR(10.0))] == ["ips", "ips[clip=2.5]", "dr[clip=10]"]


@pytest.mark.parametrize("estimator", [IPS, DR])
def test_a_clip_that_leaves_no_weight_is_refused(estimator) -> None:
    with pytest.raises(ValueError, match="clip: expected > 0 or None, got 0"):
        estimator(clip=0)
