"""Speed of the movie environment on the shipped assets, one command: python benchmarks/movie.py

The language model is compared with a bare `model.generate` of the same prompts, turn about in the same process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from measuring import Measurement, report, seconds

if TYPE_CHECKING:
    from prompt_bandits.llms.requests import TextRequest

ID = "MovieDescription-v0"
_FIRST_STEP = f"import gymnasium as gym, prompt_bandits; env = gym.make('{ID}'); env.reset(seed=0); env.step(3)"
_BATCH, _TOKENS = 256, 40


def first_step() -> str:
    took = median(seconds(lambda: subprocess.run([sys.executable, "-c", _FIRST_STEP], check=True)) for _ in range(3))
    return f"{took:.2f} s, Python and imports included (target: < 5 s)"


def vector_rounds() -> str:
    import gymnasium as gym

    import prompt_bandits  # noqa: F401

    env = gym.make_vec(ID, num_envs=256)
    env.reset(seed=0)
    actions = env.action_space.sample()
    env.step(actions)
    rate = median(256 * 100 / seconds(lambda: [env.step(actions) for _ in range(100)]) for _ in range(5))
    return f"{rate:,.0f} rounds/s (target: >= 20,000)"


def single_rounds() -> str:
    import gymnasium as gym

    import prompt_bandits  # noqa: F401

    env = gym.make(ID)
    env.reset(seed=0)

    def rounds() -> None:
        for _ in range(2000):
            env.reset()
            env.step(5)

    rounds()
    return f"{median(2000 / seconds(rounds) for _ in range(5)):,.0f} rounds/s (target: >= 2,000)"


def recording() -> str:
    import prompt_bandits
    from prompt_bandits.policies import Uniform

    with tempfile.TemporaryDirectory() as folder:
        took = seconds(lambda: prompt_bandits.collect(ID, Uniform(), 10_000, path=Path(folder) / "log"))
    return f"{took:.2f} s, sentences and embeddings included"


def exact_values() -> str:
    from prompt_bandits.movie import MovieConfig
    from prompt_bandits.policies import Uniform

    simulator = MovieConfig().build()
    return f"{median(seconds(lambda: simulator.policy_value(Uniform(), 10_000)) for _ in range(3)):.2f} s"


def generation() -> str:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from prompt_bandits.llms.huggingface import HuggingFaceLM
    from prompt_bandits.llms.requests import Sampling

    folder, requests = _prompts()
    texts = [request.text for request in requests]
    ours, sampling = HuggingFaceLM(folder, batch_size=_BATCH, progress=False), Sampling(max_new_tokens=_TOKENS)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    tokenizer.padding_side = "left"

    def bare() -> None:
        encoded = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
        with torch.inference_mode():
            out = model.generate(**encoded, do_sample=True, max_new_tokens=_TOKENS)
        tokenizer.batch_decode(out[:, encoded["input_ids"].shape[1] :], skip_special_tokens=True)

    def keyed(turn: int) -> None:
        asked = [replace(request, key=f"turn {turn}, row {i}") for i, request in enumerate(requests)]
        assert len(dict(ours.complete(asked, sampling))) == len(asked)

    bare()
    keyed(-1)
    pairs = [(seconds(lambda: keyed(turn)), seconds(bare)) for turn in range(7)]  # noqa: B023
    ratio = median(a / b for a, b in pairs)
    return f"{median(a for a, _ in pairs):.2f} s, {ratio:.2f} of bare model.generate (target: <= 1.1)"


def _prompts() -> tuple[str, list[TextRequest]]:
    """The shipped language model's folder, and what it is asked for so many films and keywords."""
    from prompt_bandits.movie import MovieConfig

    simulator = MovieConfig(llm="assets").build()
    obs, keywords, llm = simulator.observe(simulator.rounds(0, 0, _BATCH)), simulator.prompts.text, simulator.llm
    requests = [llm.template.request(title, keywords[i], "") for i, title in enumerate(obs.query_text)]
    return str(llm.model.source.folder), requests


MEASUREMENTS: dict[str, Measurement] = {
    "gym.make to the first step, a fresh process": first_step,
    "vector environment, 256 rounds a step": vector_rounds,
    "rounds one at a time (reset + step)": single_rounds,
    "10,000 rounds recorded to disk": recording,
    "exact value of a policy, 10,000 contexts": exact_values,
    f"{_BATCH} sentences by the language model": generation,
}

if __name__ == "__main__":
    report(MEASUREMENTS)
