"""Policies side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.comparison import compare
from prompt_bandits.policies import EpsilonGreedy, OracleScore, Softmax, Uniform
from prompt_bandits.synthetic import SyntheticConfig


@pytest.fixture(scope="module")
def policies(simulator):
    return {"even": Uniform(), "soft": Softmax(OracleScore(simulator)), "best": EpsilonGreedy(OracleScore(simulator))}


def test_values_optimality_and_paired_gains(simulator, policies) -> None:
    comparison = compare(policies, simulator, n=2000, baseline="even")
    rows = {row.name: row for row in comparison.rows}
    assert list(rows) == ["uniform", "even", "soft", "best", "optimal"]
    assert rows["even"].optimality == pytest.approx(0, abs=1e-6)
    assert rows["best"].optimality == pytest.approx(1)
    assert rows["soft"].optimality == pytest.approx(simulator.optimality(policies["soft"], 2000))
    assert rows["soft"].gain.value == pytest.approx(rows["soft"].value.value - rows["even"].value.value)
    assert rows["soft"].gain.se < rows["soft"].value.se
    assert rows["even"].gain is None
    text = str(comparison)
    assert len({len(line) for line in text.splitlines() if "gain" not in line and "─" not in line}) <= 2
    assert "gain over even" in text


def test_the_plot_has_a_bar_for_each(simulator, policies) -> None:
    axes = compare(policies, simulator, n=100).plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["optimal", "best", "soft", "even", "uniform"]
    assert len(axes.patches) == 5


def test_what_cannot_be_compared_is_named(simulator, policies) -> None:
    with pytest.raises(ValueError, match="baseline: expected one of even, soft, best, got 'b'"):
        compare(policies, simulator, baseline="b")
    with pytest.raises(ValueError, match="policies: uniform is compared anyway"):
        compare({"uniform": Uniform()}, simulator)
    with pytest.raises(ValueError, match="optimality: undefined"):
        compare({"even": Uniform()}, SyntheticConfig(n_actions=1).build(), n=50)


def test_a_costly_llm_is_not_asked_before_the_cost_is_told() -> None:
    simulator = SyntheticConfig(n_actions=4).build()
    llm = Costly(simulator.llm)
    costly = replace(simulator, llm=llm)
    with pytest.raises(
        ValueError, match=r"n: expected a number of contexts.* 100 contexts are up to 2,000 generations"
    ):
        compare({"even": Uniform()}, costly)
    assert llm.asked == 0
    with pytest.warns(UserWarning, match="every prompt in 30 contexts, up to 600 generations"):
        comparison = compare({"even": Uniform()}, costly, n=30)
    assert {row.value.n for row in comparison.rows} == {30}
    assert llm.asked == 30 * 4 * 4 + 30 * 4 + 2 * 30  # every prompt, the best again; a policy asks once a context


class Costly:
    """An LLM whose outputs are not known beforehand and take time."""

    costly = True

    def __init__(self, llm) -> None:
        self.llm, self.asked = llm, 0

    def generate(self, obs, action, rounds):
        self.asked += len(obs)
        return self.llm.generate(obs, action, rounds)
