"""A round as a card to read."""

from __future__ import annotations

import numpy as np

from prompt_bandits.action_values import exact_base_values
from prompt_bandits.protocols import DescribesUsers
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.types import Feedback, FloatArray, IntArray, Observation, TextArray

_WIDTH = 72


def round_cards(
    simulator: PromptSimulator, obs: Observation, action: IntArray | None = None, feedback: Feedback | None = None
) -> tuple[str, ...]:
    """A card a round: user, query, prompt, output and reward; what has not happened yet is left out.

    Users are shown in words where the simulator's source knows some, and rewards beside what they would have been
    without a prompt where that is known exactly.
    """
    about = simulator.source.about(obs) if isinstance(simulator.source, DescribesUsers) else None
    without = None if feedback is None else exact_base_values(simulator, obs)
    return tuple(_card(obs, action, feedback, row, about, without) for row in range(len(obs)))


def _card(
    obs: Observation,
    action: IntArray | None,
    feedback: Feedback | None,
    row: int,
    about: TextArray | None,
    without_prompt: FloatArray | None,
) -> str:
    lines = [("user", _user(obs, row, about))]
    if obs.query_text is not None:
        lines.append(("query", str(obs.query_text[row])))
    elif obs.query is not None:
        lines.append(("query", _named(obs.query_id, obs.query, row)))
    lines.append(("prompts", _choice(obs, row)))
    if action is not None and feedback is not None:
        lines += _outcome(obs, action, feedback, row)
        if without_prompt is not None:
            gain = feedback.expected_reward[row] - without_prompt[row]
            lines.append(("no prompt", f"{without_prompt[row]:+.3f} expected; this prompt gains {gain:+.3f}"))
    rule = "─" * _WIDTH
    return "\n".join([rule, *(f"{label:>9}  {text}" for label, text in lines), rule])


def _outcome(obs: Observation, action: IntArray, feedback: Feedback, row: int) -> list[tuple[str, str]]:
    chosen = int(action[row])
    prompt = _vector(obs.prompts.embedding[chosen]) if obs.prompts.text is None else str(obs.prompts.text[chosen])
    lines = [("action", f"{chosen}  {prompt}")]
    if feedback.output.text is not None:
        lines.append(("sentence", str(feedback.output.text[row])))
    elif feedback.output.embedding is not None:
        lines.append(("output", _vector(feedback.output.embedding[row])))
    lines.append(("reward", f"{feedback.reward[row]:+.3f}  (expected {feedback.expected_reward[row]:+.3f})"))
    return lines


def _choice(obs: Observation, row: int) -> str:
    if obs.action_mask is None:
        return f"{obs.n_actions} candidates"
    return f"{int(obs.action_mask[row].sum())} of {obs.n_actions} candidates allowed"


def _user(obs: Observation, row: int, about: TextArray | None) -> str:
    if about is None or obs.user_id is None:
        return _named(obs.user_id, obs.context, row)
    return f"{int(obs.user_id[row])}  {about[row]}"


def _named(ids: IntArray | None, features: FloatArray, row: int) -> str:
    return _vector(features[row]) if ids is None else f"{int(ids[row])}  {_vector(features[row])}"


def _vector(values: FloatArray, most: int = 6) -> str:
    shown = " ".join(f"{v:+.2f}" for v in values[:most])
    return f"[{shown}{f' … {len(values)} numbers' if len(values) > most else ''}]" if np.size(values) else "[]"
