"""Text models: templates, a local model, the frozen LLM made of a model, and names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import traceback
import types
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from llm_models import (
    CHAT_TEMPLATE,
    KEYWORDS,
    SAMPLING,
    STRICT_CHAT_TEMPLATE,
    TEMPLATE,
    TITLES,
    MadeUpModel,
    answers,
    asking,
    save_tiny_model,
    some_requests,
)

from prompt_bandits import saving
from prompt_bandits.env import PromptBanditEnv, PromptBanditVectorEnv
from prompt_bandits.llms.cache import CachedLM, SentenceCache
from prompt_bandits.llms.failures import RequestsFailed
from prompt_bandits.llms.huggingface import HuggingFaceLM
from prompt_bandits.llms.naming import text_model
from prompt_bandits.llms.post_processing import PostProcessing
from prompt_bandits.llms.requests import (
    Completion,
    GenerationError,
    Message,
    Sampling,
    TextModel,
    TextRequest,
)
from prompt_bandits.llms.templates import PromptTemplate
from prompt_bandits.llms.text_llm import Refused, TextLLM
from prompt_bandits.movie import MovieConfig
from prompt_bandits.movie.movielens.build import build_from_movielens
from prompt_bandits.protocols import FrozenLLM
from prompt_bandits.rounds import Rounds
from prompt_bandits.simulator import PromptSimulator
from prompt_bandits.specs import part_fingerprint
from prompt_bandits.testing import check_simulator
from prompt_bandits.types import Observation, Prompts, text_array


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_chat(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("chat"), chat_template=CHAT_TEMPLATE, pad_token="<pad>")


@pytest.fixture(scope="session")
def model(tiny) -> HuggingFaceLM:
    return HuggingFaceLM(tiny)


# templates and post-processing


def test_the_default_template_is_the_published_one() -> None:
    told = "Broadly describe in a sentence the genres of the movie without including the name or any specifics of the"
    request = TEMPLATE.request("Alien", "space", "slot 1")
    assert request.text == f"{told} movie.\nTitle: Alien\nKeyword: space\nMovie description: "
    assert request.messages == (Message("user", request.text),)
    assert request.key == "slot 1"
    assert TEMPLATE.request("Alien", None, "").text == f"{told} movie.\nTitle: Alien\nMovie description: "


def test_a_template_has_a_form_for_each_turn_and_for_no_prompt() -> None:
    template = PromptTemplate(
        "<",
        "|",
        ">",
        no_prompt_postfix="!",
        system="be short",
        user="{prompt}{{}} {query}?",
        user_without_prompt="{query}.",
    )
    with_prompt, without = template.request("{query}", "{prompt}", "k"), template.request("Up", None, "k")
    assert with_prompt.text == "<{query}|{prompt}>"
    assert with_prompt.messages == (Message("system", "be short"), Message("user", "{prompt}{} {query}?"))
    assert without.text == "<Up!"
    assert without.messages[1] == Message("user", "Up.")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"user": "{query}", "user_without_prompt": "{query}"}, r"^user: .*\{query\} and \{prompt\}.*got '\{query\}'"),
        ({"user": "{query} {prompt.__class__}", "user_without_prompt": "{query}"}, "^user: "),
        ({"user": "{query} {prompt!r}", "user_without_prompt": "{query}"}, "^user: "),
        ({"user": "{query} {prompt} {", "user_without_prompt": "{query}"}, "^user: "),
        ({"user": "{query} {prompt}", "user_without_prompt": "{query} {prompt}"}, "^user_without_prompt: "),
        ({"user": "{query} {prompt}"}, "^user_without_prompt: .* got None"),
        ({"user_without_prompt": "{query}"}, "^user: .* got None"),
    ],
)
def test_a_template_with_wrong_places_is_refused(parts, told) -> None:
    with pytest.raises(ValueError, match=told):
        PromptTemplate(**parts)


def test_a_template_of_other_things_than_text_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^middle: expected a text, got None"):
        PromptTemplate(middle=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "thing",
    [
        PromptTemplate(system="s", user="{query}{prompt}", user_without_prompt="{query}"),
        PostProcessing(first_line=True),
    ],
)
def test_templates_and_post_processing_are_saved_as_plain_values(thing, monkeypatch) -> None:
    monkeypatch.setitem(saving._registered, thing.saved_as, type(thing))
    assert saving.from_json(json.loads(json.dumps(saving.to_json(thing)))) == thing


@pytest.mark.parametrize(
    ("steps", "text", "sentence"),
    [
        (PostProcessing(), "\n A film. Two.\n", "A film. Two."),
        (PostProcessing(strip=False), " A film.\n", " A film.\n"),
        (PostProcessing(first_line=True), "\n\n A film.\nTitle: next", "A film."),
        (PostProcessing(strip=False, first_line=True), "\n A film.\nTitle", " A film."),
        (PostProcessing(first_line=True), "\n\n", ""),
        (PostProcessing(first_sentence=True), "A 2.5 hour film? Yes.", "A 2.5 hour film?"),
        (PostProcessing(first_sentence=True), "He said “no.” And", "He said “no.”"),
        (PostProcessing(first_sentence=True), "A film without an end", "A film without an end"),
        (PostProcessing(unquote=True), ' "A film." ', "A film."),
        (PostProcessing(unquote=True), '"A" and "B', '"A" and "B'),
        (PostProcessing(unquote=True), '"', '"'),
        (PostProcessing(first_line=True, first_sentence=True, unquote=True), "“One. Two.”\nThree", "“One."),
    ],
)
def test_post_processing(steps, text, sentence) -> None:
    assert steps(text) == sentence


# sampling by key


def test_uniforms_are_of_the_request_and_its_token() -> None:
    from prompt_bandits.llms.keyed_sampling import request_uniforms

    base = TextRequest("a", (Message("user", "a"),), "slot 0")
    others = [replace(base, text="b"), replace(base, key="slot 1"), replace(base, messages=(Message("system", "a"),))]
    drawn = request_uniforms([base, *others], 500)
    assert drawn.dtype == np.float32
    assert 0 <= drawn.min() < 0.01
    assert 0.99 < drawn.max() < 1
    assert abs(np.corrcoef(drawn) - np.eye(4)).max() < 0.2
    np.testing.assert_array_equal(request_uniforms([others[2], base], 7)[1], drawn[0, :7])


def test_sampled_tokens_have_the_models_distribution() -> None:
    import torch

    from prompt_bandits.llms.keyed_sampling import KeyedSampling, request_uniforms

    n, probability = 20_000, np.array([0.0, 0.5, 0.0, 0.125, 0.25, 0.125, 0.0])
    scores = torch.log(torch.tensor(probability, dtype=torch.float32)).expand(n, 7) + 3
    uniforms = torch.from_numpy(request_uniforms([TextRequest("", (), str(i)) for i in range(n)], 2))
    for step in range(2):
        ids = torch.zeros((n, 5 + step), dtype=torch.long)
        counts = np.bincount(KeyedSampling(uniforms, 5)(ids, scores).argmax(dim=1).numpy(), minlength=7)
        assert (counts[probability == 0] == 0).all()
        np.testing.assert_allclose(counts / n, probability, atol=0.015)


def test_no_draw_takes_an_impossible_token() -> None:
    import torch

    from prompt_bandits.llms.keyed_sampling import KeyedSampling

    generator = np.random.default_rng(0)
    scores = torch.from_numpy(generator.normal(size=(2000, 50)).astype(np.float32))
    scores[torch.from_numpy(generator.random((2000, 50)) < 0.7)] = -torch.inf
    scores[:, 20] = 0
    for extreme in (0.0, float(np.nextafter(np.float32(1), np.float32(0)))):
        token = KeyedSampling(torch.full((2000, 1), extreme), 0)(torch.zeros((2000, 0)), scores).argmax(dim=1)
        possible = scores > -torch.inf
        first, last = possible.int().argmax(dim=1), 49 - possible.flip(1).int().argmax(dim=1)
        assert torch.equal(token, first if extreme == 0 else last)


# the local model


def by_hand(model: HuggingFaceLM, request: TextRequest, sampling: Sampling) -> list[int]:
    """The tokens of an answer, drawn one by one from the model's probabilities for this prompt alone."""
    import torch

    from prompt_bandits.llms.keyed_sampling import request_uniforms

    network, tokenizer = model.loaded.model, model.loaded.tokenizer
    ids = tokenizer(request.text)["input_ids"]
    n, new = len(ids), []
    for u in request_uniforms([request], sampling.max_new_tokens)[0]:
        with torch.no_grad():
            logits = network(torch.tensor([ids])).logits[0, -1].double().numpy()
        weight = (
            np.exp((logits - logits.max()) / sampling.temperature) if sampling.temperature else logits == logits.max()
        )
        new.append(int((np.cumsum(weight) / weight.sum() > u).argmax()))
        ids.append(new[-1])
        if new[-1] == tokenizer.eos_token_id:
            break
    assert ids[n:] == new
    return new


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.0])
def test_an_answer_is_what_drawing_by_hand_gives_whatever_the_model_prefers_and_its_neighbours_are(
    model, temperature
) -> None:
    requests, sampling = some_requests(9), Sampling(temperature, max_new_tokens=8)
    tokenizer = model.loaded.tokenizer
    for request, answer in zip(requests, answers(model, requests, sampling), strict=True):
        tokens = by_hand(model, request, sampling)
        ended = tokens[-1] == tokenizer.eos_token_id
        assert answer.text == tokenizer.decode(tokens, skip_special_tokens=True)
        assert answer.outcome == ("stop" if ended else "length")
        assert answer.new_tokens == len(tokens) - ended
        assert answer.prompt_tokens == len(tokenizer(request.text)["input_ids"])


def test_an_answer_does_not_depend_on_batch_order_or_neighbours(tiny) -> None:
    requests, sampling = some_requests(21), Sampling(max_new_tokens=10)
    assert len({len(request.text) for request in requests}) > 5
    at_once = answers(HuggingFaceLM(tiny), requests, sampling)
    sevens = answers(HuggingFaceLM(tiny, batch_size=7), requests, sampling)
    single = answers(HuggingFaceLM(tiny, batch_size=1), requests, sampling)
    order = np.random.default_rng(0).permutation(21)
    permuted = answers(HuggingFaceLM(tiny, batch_size=7), [requests[i] for i in order], sampling)
    assert at_once == sevens == single == [permuted[i] for i in np.argsort(order)]
    assert len({answer.text for answer in at_once}) > 15


def test_keys_tell_answers_apart_and_equal_keys_repeat_them(model) -> None:
    requests = [TEMPLATE.request("Heat", "noir", f"slot {i % 4}") for i in range(8)]
    texts = [answer.text for answer in answers(model, requests)]
    assert texts[:4] == texts[4:]
    assert len(set(texts)) == 4


def test_top_k_and_top_p_leave_likely_tokens_only(model) -> None:
    likeliest = answers(model, some_requests(6), Sampling(0))
    assert answers(model, some_requests(6), Sampling(top_k=1)) == likeliest
    assert answers(model, some_requests(6), Sampling(top_p=1e-6)) == likeliest
    several = [TEMPLATE.request("Heat", "noir", str(i)) for i in range(60)]
    assert 1 < len(set(answers(model, several, Sampling(top_k=3, max_new_tokens=1)))) <= 3
    assert len(set(answers(model, several, Sampling(max_new_tokens=1)))) > 3


def test_padding_with_a_token_of_its_own_or_with_the_end_token_gives_the_same(tiny, tmp_path) -> None:
    for name, token in (("own", "<pad>"), ("end", None)):
        save_tiny_model(tmp_path / name, pad_token=token)
    own, end = (
        answers(HuggingFaceLM(tmp_path / name), some_requests(12), Sampling(max_new_tokens=30))
        for name in ("own", "end")
    )
    assert own == end == answers(HuggingFaceLM(tiny), some_requests(12), Sampling(max_new_tokens=30))
    assert {answer.outcome for answer in own} == {"stop", "length"}


def test_a_stop_string_ends_an_answer_before_it_and_the_prompts_own_do_not_count(model) -> None:
    requests = some_requests(12)
    whole = answers(model, requests, Sampling(max_new_tokens=20))
    letters = Counter(letter for answer in whole for letter in set(answer.text[1:]) if letter.isalpha())
    stop = letters.most_common(1)[0][0]
    assert all(stop in request.text for request in requests)
    stopped = answers(model, requests, Sampling(max_new_tokens=20, stop=(stop, "never found")))
    assert any(stop in answer.text for answer in whole)
    for before, after in zip(whole, stopped, strict=True):
        assert after.text == before.text.split(stop)[0]
        assert after.outcome == ("stop" if stop in before.text else before.outcome)
        assert after.new_tokens < before.new_tokens or stop not in before.text[:-1]


def test_a_stop_string_that_began_in_the_prompt_does_not_count(tiny) -> None:
    from prompt_bandits.llms.keyed_sampling import StopsInAnswer

    tokenizer = HuggingFaceLM(tiny).loaded.tokenizer
    import torch

    prompt, answer = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("a\n", "\n"))
    ids = torch.tensor([prompt + answer])
    assert StopsInAnswer(tokenizer, ["\n\n"], 0)(ids, None).tolist() == [True]
    assert StopsInAnswer(tokenizer, ["\n\n"], len(prompt))(ids, None).tolist() == [False]


@pytest.mark.parametrize(
    ("text", "new_tokens", "expected"),
    [
        ("a b", 8, ("a b", "length")),
        ("a b", 7, ("a b", "stop")),
        ("a|b;c", 8, ("a", "stop")),  # found by the last token that there was room for
        ("a;b|c", 5, ("a", "stop")),
        ("|", 1, ("", "stop")),
    ],
)
def test_an_answer_ends_before_its_first_stop_string_or_for_want_of_room(text, new_tokens, expected) -> None:
    from prompt_bandits.llms.generating import _completion

    found = _completion(text, new_tokens, 3, Sampling(max_new_tokens=8, stop=("|", ";")))
    assert (found.text, found.outcome) == expected
    assert (found.prompt_tokens, found.new_tokens) == (3, new_tokens)


@pytest.mark.parametrize(
    ("row", "own"), [([5, 6, 1, 9], 2), ([5, 6, 2, 2], 2), ([5, 6, 7, 8], 4), ([1, 2, 2, 2], 0), ([5, 2, 6, 2], 3)]
)
def test_what_fills_a_row_up_is_not_its_answer(row, own) -> None:
    from prompt_bandits.llms.generating import _own_tokens

    assert _own_tokens(row, frozenset({1}), pad=2) == own


def test_the_end_tokens_of_model_and_tokenizer_both_end_an_answer(tiny, tmp_path) -> None:
    shutil.copytree(tiny, tmp_path, dirs_exist_ok=True)
    for listed in (7, [7, 9], None):
        (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": listed}))
        loaded = HuggingFaceLM(tmp_path).loaded
        assert loaded.end_tokens == {1, *(listed if isinstance(listed, list) else [listed] if listed else [])}
        assert loaded.pad_token == 1


def test_a_prompt_without_room_in_the_context_is_an_outcome_and_the_others_are_answered(model) -> None:
    long = TEMPLATE.request("Seven Samurai " * 60, "war", "slot 0")
    requests = [some_requests(3)[0], long, *some_requests(3)[1:]]
    found = answers(model, requests)
    assert found[1].outcome == "context_limit"
    assert found[1].text == ""
    assert found[1].prompt_tokens > 128 - SAMPLING.max_new_tokens
    assert [found[i] for i in (0, 2, 3)] == answers(model, some_requests(3))


def test_the_longest_prompt_that_fits_is_answered(model) -> None:
    tokenizer = model.loaded.tokenizer
    words = "war" * 200
    fits = next(words[:n] for n in range(600, 0, -1) if len(tokenizer(words[:n])["input_ids"]) == 120)
    outcomes = [answer.outcome for answer in answers(model, asking(fits, f"{fits}?"))]
    assert outcomes[0] != "context_limit"
    assert outcomes[1] == "context_limit"
    with pytest.raises(ValueError, match=r"^max_new_tokens: expected less than the model's context of 128, got 128"):
        answers(model, asking("x"), Sampling(max_new_tokens=128))


def test_an_empty_prompt_is_the_models_beginning(model) -> None:
    assert answers(model, asking(""))[0].prompt_tokens == 1
    assert answers(model, []) == []


def test_answers_come_a_batch_at_a_time(tiny, monkeypatch) -> None:
    model = HuggingFaceLM(tiny, batch_size=4)
    network, calls = model.loaded.model, []
    generate = network.generate
    monkeypatch.setattr(network, "generate", lambda ids, **kwargs: calls.append(ids.shape) or generate(ids, **kwargs))
    arriving = model.complete(some_requests(10), SAMPLING)
    for _ in range(4):
        next(arriving)
    assert len(calls) == 1
    assert len(list(arriving)) == 6
    assert [n for n, _ in calls] == [4, 4, 2]
    lengths = [length for _, length in calls]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > lengths[-1]


def test_a_batch_that_does_not_fit_into_memory_is_halved(tiny, monkeypatch) -> None:
    import torch

    model, expected = HuggingFaceLM(tiny, batch_size=8), answers(HuggingFaceLM(tiny), some_requests(10))
    network, largest, tried = model.loaded.model, 2, []
    generate = network.generate

    def small_memory(ids, **kwargs):
        tried.append(len(ids))
        if len(ids) > largest:
            raise torch.cuda.OutOfMemoryError("too much")
        return generate(ids, **kwargs)

    monkeypatch.setattr(network, "generate", small_memory)
    assert answers(model, some_requests(10)) == expected
    assert tried == [8, 4, 2, 2, 2, 2, 2]
    assert model.batch_size == 2
    largest = 0
    with pytest.raises(GenerationError, match=r"out of memory for one prompt of .* tokens"):
        answers(model, some_requests(10))


def test_numbers_that_overflow_are_told(tiny) -> None:
    import torch

    model = HuggingFaceLM(tiny)
    with torch.no_grad():
        model.loaded.model.lm_head.weight[3] = torch.nan
    with pytest.raises(GenerationError, match="not finite"):
        answers(model, some_requests(2))


def test_generating_leaves_the_global_generators_alone(tiny) -> None:
    import torch

    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    answers(HuggingFaceLM(tiny), some_requests(3))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == numpy_before  # noqa: NPY002


def test_a_dtype_is_that_of_the_weights_or_as_asked(tiny) -> None:
    import torch

    assert HuggingFaceLM(tiny).loaded.model.dtype == torch.float32
    half = HuggingFaceLM(tiny, dtype="bfloat16")
    assert half.loaded.model.dtype == torch.bfloat16
    assert len(answers(half, some_requests(3))) == 3


# chats


def test_a_chat_template_is_used_where_there_is_one_and_can_be_forbidden(tiny_chat) -> None:
    template = PromptTemplate(system="be short", user="{query}: {prompt}", user_without_prompt="{query}")
    request = template.request("Heat", "noir", "k")
    chat, auto, plain = (answers(HuggingFaceLM(tiny_chat, chat=chat), [request])[0] for chat in (True, None, False))
    assert chat == auto != plain
    rendered = "[system] be short\n[user] Heat: noir\n[assistant] "
    written_out = replace(request, text=rendered)
    tokenizer = HuggingFaceLM(tiny_chat).loaded.tokenizer
    assert chat.prompt_tokens == len(tokenizer(f"<s>{rendered}", add_special_tokens=False)["input_ids"])
    assert plain.prompt_tokens == len(tokenizer(request.text)["input_ids"])
    likeliest = Sampling(0, max_new_tokens=8)
    assert answers(HuggingFaceLM(tiny_chat, chat=False), [written_out], likeliest)[0].text == (
        answers(HuggingFaceLM(tiny_chat), [request], likeliest)[0].text
    )


def test_a_forced_chat_needs_a_template(tiny) -> None:
    with pytest.raises(ValueError, match=r"^chat: expected a model whose tokenizer has a chat template"):
        answers(HuggingFaceLM(tiny, chat=True), some_requests(1))


def test_a_template_without_a_system_turn_reads_it_before_the_users_first(tmp_path) -> None:
    from jinja2 import TemplateError

    from prompt_bandits.llms.huggingface import _rendered

    save_tiny_model(tmp_path, chat_template=STRICT_CHAT_TEMPLATE)
    tokenizer = HuggingFaceLM(tmp_path).loaded.tokenizer
    assert _rendered(tokenizer, (Message("system", "be short"), Message("user", "Heat"))) == "<be short\n\nHeat>"
    assert _rendered(tokenizer, (Message("user", "Heat"),)) == "<Heat>"
    with pytest.raises(TemplateError, match="alternate"):
        _rendered(tokenizer, (Message("assistant", "Heat"),))


# which model, and what is wrong with it


def test_a_folders_identity_is_its_content(tiny, tmp_path) -> None:
    base = HuggingFaceLM(tiny).identity
    copied = tmp_path / "elsewhere"
    shutil.copytree(tiny, copied)
    (copied / "README.md").write_text("not part of the model")
    assert HuggingFaceLM(copied).identity == base
    assert str(tiny) not in json.dumps(base)
    assert HuggingFaceLM(tiny, dtype="bfloat16").identity != base
    assert HuggingFaceLM(tiny, chat=False).identity != base
    assert all(isinstance(value, str) for value in base.values())
    weights = bytearray((copied / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copied / "model.safetensors").write_bytes(weights)
    assert HuggingFaceLM(copied).identity != base


def test_a_models_identity_on_the_hub_is_its_commit(tmp_path, monkeypatch) -> None:
    import huggingface_hub

    commit, asked = "0123456789abcdef0123456789abcdef01234567", []

    def download(name, file, revision):
        asked.append((name, file, revision))
        return str(tmp_path / "models--someone--model/snapshots" / commit / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    given = HuggingFaceLM("someone/model", commit)
    assert given.identity["revision"] == commit
    assert asked == []
    assert HuggingFaceLM("someone/model", "v2").identity == given.identity == HuggingFaceLM("someone/model").identity
    assert asked == [("someone/model", "config.json", "v2"), ("someone/model", "config.json", None)]


_FROM_THE_HUB = """
import sys
sys.path.insert(0, {tests!r})
from llm_models import answers, some_requests
from prompt_bandits.llms.huggingface import HuggingFaceLM

model = HuggingFaceLM("someone/tiny", "v2")
print(model.identity["model"], model.identity["revision"], answers(model, some_requests(2))[1].new_tokens)
"""


@pytest.mark.slow
def test_a_model_in_the_hubs_local_cache_needs_no_network(tiny, model, tmp_path) -> None:
    commit, place = "0123456789abcdef0123456789abcdef01234567", tmp_path / "hub/models--someone--tiny"
    shutil.copytree(tiny, place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs/v2").write_text(commit)
    out = subprocess.run(
        [sys.executable, "-c", _FROM_THE_HUB.format(tests=str(Path(__file__).parent))],
        env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out.split() == ["someone/tiny", commit, str(answers(model, some_requests(2))[1].new_tokens)]


@pytest.mark.parametrize(
    ("name", "options", "error", "told"),
    [
        ("./nowhere", {}, FileNotFoundError, r"^model: no folder \./nowhere"),
        ("/no/such/folder", {}, FileNotFoundError, "^model: no folder"),
        ("a/b/c", {}, FileNotFoundError, "^model: no folder a/b/c"),
        ("", {}, ValueError, "^model: expected"),
        ("x/y", {"dtype": "int8"}, ValueError, "^dtype: expected one of float32, .*got 'int8'"),
        ("x/y", {"batch_size": 0}, ValueError, "^batch_size: expected >= 1, got 0"),
        ("x/y", {"device": "cpu", "device_map": "auto"}, ValueError, "^device: "),
    ],
)
def test_arguments_that_cannot_be_are_refused_at_once(name, options, error, told) -> None:
    with pytest.raises(error, match=told):
        HuggingFaceLM(name, **options)


def test_a_folder_without_a_whole_model_is_told(tiny, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"found no config\.json"):
        HuggingFaceLM(tmp_path)
    shutil.copy(tiny / "config.json", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"^model: expected weights \(\*\.safetensors\) in .*, found none"):
        HuggingFaceLM(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ValueError, match=r"\.bin only"):
        HuggingFaceLM(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((tiny / "model.safetensors").read_bytes()[:1000])
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny / name, tmp_path)
    with pytest.raises(ValueError, match=r"^model: .* cannot be loaded"):
        answers(HuggingFaceLM(tmp_path), some_requests(1))
    with pytest.raises(ValueError, match=r"^revision: expected none beside the folder"):
        HuggingFaceLM(tiny, "main")


def test_weights_that_are_missing_are_told_and_not_made_up(tiny, tmp_path) -> None:
    from safetensors.numpy import load_file, save_file

    shutil.copytree(tiny, tmp_path, dirs_exist_ok=True)
    weights = load_file(tiny / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 weights, model\.layers\.1\.mlp\.up_proj\.weight"):
        answers(HuggingFaceLM(tmp_path), some_requests(1))


def test_an_unknown_id_is_told_when_there_is_no_hub(monkeypatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        FileNotFoundError, match=r"^model: expected a folder, or an id that the hub knows, got 'some-one/none'"
    ):
        answers(HuggingFaceLM("some-one/none"), some_requests(1))


# the frozen LLM


class Films:
    """Queries that are titles."""

    def observe(self, rounds: Rounds, prompts: Prompts) -> Observation:
        query_id = rounds.integers("query", len(TITLES))
        context = rounds.normal("context", 2).astype(np.float32)
        query = np.eye(len(TITLES), dtype=np.float32)[query_id]
        return Observation(context, prompts, query, query_id=query_id, query_text=text_array(TITLES)[query_id])


class LongIsGood:
    def expected(self, obs, output):
        return np.array([len(text) / 100 for text in output.text])


class Letters:
    """φ(s): how often the first letters of the alphabet are in a sentence."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts):
        self.encoded += list(texts)
        return np.array([[text.count(letter) for letter in "abcdef"] for text in texts], dtype=np.float32)


def films(llm: FrozenLLM) -> PromptSimulator:
    return PromptSimulator(Films(), Prompts.from_embedding(np.eye(6), KEYWORDS), llm, LongIsGood())


def write(llm: TextLLM, n: int, seed: int = 0, start: int = 0, no_prompt: bool = False):
    simulator = films(llm)
    rounds = simulator.rounds(seed, start, n)
    obs = simulator.observe(rounds)
    action = None if no_prompt else (rounds.round_id % 6)
    return obs, action, rounds, simulator.respond(obs, action, rounds)


def test_a_sentence_is_the_answer_to_query_prompt_and_the_rounds_slot() -> None:
    inner = MadeUpModel()
    obs, action, rounds, output = write(TextLLM(inner, encoder=Letters()), 40)
    slots = rounds.integers("llm", 4)
    for i in range(40):
        request = TEMPLATE.request(obs.query_text[i], KEYWORDS[action[i]], f"slot {slots[i]}")
        sentence = answers(MadeUpModel(), [request])[0].text.strip()
        assert output.text[i] == sentence
        np.testing.assert_array_equal(output.embedding[i], Letters().encode([sentence])[0])
    assert {request.key for request in inner.asked} == {"slot 0", "slot 1", "slot 2", "slot 3"}
    _, _, _, without = write(TextLLM(inner), 3, no_prompt=True)
    assert "Keyword" not in inner.asked[-1].text
    assert without.embedding is None


def test_equal_requests_of_a_batch_are_asked_and_encoded_once() -> None:
    inner, encoder = MadeUpModel(), Letters()
    write(TextLLM(inner, n_slots=2, encoder=encoder), 500)
    assert len(inner.asked) == len(set(inner.asked)) == len(TITLES) * 6 * 2  # titles × prompts × slots
    assert len(encoder.encoded) == len(set(encoder.encoded)) <= len(inner.asked)


def test_without_slots_every_round_asks_anew() -> None:
    inner = MadeUpModel()
    write(TextLLM(inner, n_slots=None), 500, seed=3)
    assert len({request.key for request in inner.asked}) == 500
    assert inner.asked[7].key == "3/log/train/7"
    with pytest.raises(ValueError, match=r"^n_slots: expected >= 1 or None, got 0"):
        TextLLM(inner, n_slots=0)


@pytest.mark.parametrize("n_slots", [4, None])
def test_a_sentence_does_not_depend_on_how_rounds_are_cut(model, n_slots) -> None:
    llm = TextLLM(model, sampling=SAMPLING, n_slots=n_slots)
    whole = write(llm, 12)[3].text.tolist()
    assert whole == [text for start in (0, 5, 6) for text in write(llm, {0: 5, 5: 1, 6: 6}[start], start=start)[3].text]
    assert len(set(whole)) > 8


def test_a_local_model_plays_in_a_simulator_and_an_environment(model, tmp_path) -> None:
    for encoder in (None, Letters()):
        llm = TextLLM(CachedLM(model, SentenceCache(tmp_path / "a.db")), sampling=SAMPLING, encoder=encoder)
        assert isinstance(llm, FrozenLLM)
        simulator = films(llm)
        check_simulator(simulator)
        env = PromptBanditEnv(simulator)
        env.reset(seed=5)
        _, reward, terminated, _, info = env.step(2)
        assert terminated
        assert info["prompt"] == KEYWORDS[2]
        assert info["expected_reward"] == len(info["sentence"]) / 100
        assert abs(reward) < 10
        vector = PromptBanditVectorEnv(simulator, 3)
        vector.reset(seed=5)
        final = vector.step(np.array([2, 2, 2]))[4]["final_info"]
        assert final["sentence"][0] == info["sentence"]


def test_answers_without_a_text_are_listed_and_warned_of_once_a_call() -> None:
    llm = TextLLM(MadeUpModel(refuses="Keyword: war"), encoder=Letters(), post=PostProcessing(first_sentence=True))
    with pytest.warns(UserWarning, match=r"sentences are empty \(content_filter: \d+\), the first for query") as warned:
        _, action, _, output = write(llm, 60)
    assert len(warned) == 1
    assert (output.text == np.where(np.array(KEYWORDS)[action] == "war", "", "A film.")).all()
    np.testing.assert_array_equal(output.embedding, Letters().encode(output.text))
    assert sorted(llm.encoder.encoded) == ["", "A film."]
    assert set(llm.refused) == {Refused(title, "war", "content_filter") for title in {r.query for r in llm.refused}}
    listed = len(llm.refused)
    assert listed == len(set(llm.refused)) > 2
    with pytest.warns(UserWarning, match="sentences are empty"):
        write(llm, 60)
    assert len(llm.refused) == listed


def test_a_failure_says_how_many_answers_had_arrived_and_keeps_them(tmp_path) -> None:
    cache = SentenceCache(tmp_path / "a.db")
    dying = TextLLM(CachedLM(MadeUpModel(dies_after=4), cache), n_slots=None)
    with pytest.raises(GenerationError, match=r"^4 of 10 answers had arrived, 6 are missing: the server is gone"):
        write(dying, 10)
    assert len(cache) == 4
    restarted = MadeUpModel()
    write(TextLLM(CachedLM(restarted, cache), n_slots=None), 10)
    assert len(restarted.asked) == 6


def test_a_failure_tells_which_rounds_have_no_sentence() -> None:
    class Refusing(MadeUpModel):
        def complete(self, requests, sampling):
            missing = [i for i, request in enumerate(requests) if "Keyword: war" in request.text]
            raise RequestsFailed("made up", n=len(requests), missing=missing, reasons=dict.fromkeys(missing, "war"))
            yield

    with pytest.raises(RequestsFailed, match=r"^made up: \d+ of 40 rounds have no answer") as caught:
        write(TextLLM(Refusing(), n_slots=1), 40)
    war = [i for i in range(40) if KEYWORDS[i % 6] == "war"]
    assert list(caught.value.missing) == sorted(caught.value.reasons) == war


def test_a_model_that_stops_short_is_told() -> None:
    class Short(MadeUpModel):
        def complete(self, requests, sampling):
            yield 0, Completion("only one")

    with pytest.raises(GenerationError, match=r"^1 of 5 .* 4 are missing: the model stopped without an error"):
        write(TextLLM(Short(), n_slots=None), 5)


def test_the_fingerprint_of_a_text_llm_is_of_what_it_says_and_does_not_change_by_use(tiny, tmp_path) -> None:
    def fingerprints(**changed):
        model = CachedLM(
            HuggingFaceLM(tiny, batch_size=changed.pop("batch_size", 256)), SentenceCache(tmp_path / "a.db")
        )
        return TextLLM(model, **{"sampling": SAMPLING, **changed})

    llm = fingerprints()
    before = part_fingerprint(llm)
    write(llm, 3)
    assert part_fingerprint(llm) == before == part_fingerprint(fingerprints(batch_size=3))
    others = [
        {"template": PromptTemplate("x")},
        {"sampling": Sampling(0.5)},
        {"n_slots": 3},
        {"post": PostProcessing(False)},
    ]
    assert len({before, *(part_fingerprint(fingerprints(**other)) for other in others)}) == 5


def test_queries_and_prompts_need_texts() -> None:
    llm, rounds = TextLLM(MadeUpModel()), Rounds(0, 0, 2)
    prompts = Prompts.one_hot(3)
    obs = Observation(np.zeros((2, 1), dtype=np.float32), prompts)
    with pytest.raises(ValueError, match=r"^query_text: expected the queries as texts, got none"):
        llm.generate(obs, np.array([0, 1]), rounds)
    obs = replace(obs, query_text=text_array(["a", "b"]))
    with pytest.raises(ValueError, match=r"^prompts\.text: expected the prompts as texts, got none"):
        llm.generate(obs, np.array([0, 1]), rounds)
    assert len(llm.generate(obs, None, rounds).text) == 2


# names


def test_a_text_model_has_a_name(tiny, monkeypatch) -> None:
    local = text_model(f"hf:{tiny}", batch_size=3)
    assert isinstance(local, HuggingFaceLM)
    assert isinstance(local, TextModel)
    assert local.batch_size == 3
    called = types.ModuleType("prompt_bandits.llms.openai_compatible")
    called.OpenAICompatibleLM = lambda url, model, **options: (url, model, options)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, called.__name__, called)
    assert text_model("openai:http://localhost:8000/v1#a/b:c#d", timeout=3) == (
        "http://localhost:8000/v1",
        "a/b:c#d",
        {"timeout": 3},
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gpt", "^llm: expected 'hf:<model id or folder>' or 'openai:<base url>#<model>', got 'gpt'"),
        ("vllm:x", "got 'vllm:x'"),
        ("hf:", "after 'hf:'"),
        ("openai:http://localhost/v1", "expected 'openai:<base url>#<model>'"),
        ("openai:localhost#m", "expected 'openai:<base url>#<model>'"),
        ("openai:http://localhost/v1#", "expected 'openai:<base url>#<model>'"),
    ],
)
def test_a_name_of_no_text_model_is_refused(name, told) -> None:
    with pytest.raises(ValueError, match=told):
        text_model(name)
    with pytest.raises(TypeError, match="bathc_size"):
        text_model("hf:x/y", bathc_size=3)


@pytest.mark.parametrize(
    "name",
    [
        "openai:http://user:secret@host/v1",
        "openai:http://user:secret@host/v1#",
        "openai:http://user:secret@host/v1#m",
        "openai:user:secret@host/v1#m",
        "openai:http://host/v1?key=secret#m",
        "openai:http://host:secret/v1#m",
        "http://user:secret@host/v1#m",
        "user:secret@host",
        "secret@host",
        "hf:https://user:secret@host/model",
    ],
)
def test_a_name_with_a_password_is_refused_without_being_told(name) -> None:
    for refusing in (text_model, lambda llm: MovieConfig(llm=llm)):
        with pytest.raises(ValueError, match=r"^(llm|base_url): expected") as caught:
            refusing(name)
        assert "secret" not in "".join(traceback.format_exception_only(caught.value))
        assert caught.value.__context__ is None


def test_an_encoder_that_is_missing_does_not_tell_the_llm_s_password(tmp_path) -> None:
    with pytest.raises(ValueError, match="encoder: expected a name") as caught:
        build_from_movielens(tmp_path, tmp_path / "out", llm="openai:http://user:secret@host/v1#m")
    assert "secret" not in str(caught.value)
