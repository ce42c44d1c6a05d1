"""The text model behind OpenAI's protocol, against real servers that answer, fail and die."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

import pytest

from prompt_bandits.llms import openai_compatible
from prompt_bandits.llms.budget import Amount, Budget, BudgetExceeded
from prompt_bandits.llms.cache import CachedLM, SentenceCache
from prompt_bandits.llms.costs import CostEstimate, Prices, estimate, most_tokens
from prompt_bandits.llms.failures import RequestsFailed, positions
from prompt_bandits.llms.naming import text_model
from prompt_bandits.llms.openai_answers import (
    Fatal,
    Lost,
    NoAccess,
    Refused,
    completion_of,
    outcome_of_status,
    retry_after_s,
    seed_of,
)
from prompt_bandits.llms.openai_compatible import OpenAICompatibleLM
from prompt_bandits.llms.pacing import Gate
from prompt_bandits.llms.requests import Completion, GenerationError, Message, Sampling, TextModel, TextRequest
from prompt_bandits.llms.templates import PromptTemplate

for needed in ("openai", "tenacity", "uvicorn", "starlette"):
    pytest.importorskip(needed)

from http_servers import failing_proxy, tiny_server  # noqa: E402

KEY = "sk-FAKE-0123456789-abcdef"
SAMPLING = Sampling(temperature=0.7, top_p=0.9, max_new_tokens=30)
FAULTS = ["drop", "reset", "lose", "truncate", "half", "html", "500", "429", "503"]


@pytest.fixture(scope="module")
def shared_server():
    with tiny_server() as running:
        yield running


@pytest.fixture
def server(shared_server, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name, value in type(shared_server)().__dict__.items():
        if name not in ("url", "lock"):
            setattr(shared_server, name, value)
    return shared_server


def request(text: str = "hello", key: str = "slot 0") -> TextRequest:
    return TextRequest(f"text of {text}", (Message("system", "Be brief."), Message("user", text)), key)


def requests(n: int) -> list[TextRequest]:
    return [request(f"film {i}", f"slot {i % 4}") for i in range(n)]


def model(url: str, **options) -> OpenAICompatibleLM:
    return OpenAICompatibleLM(f"{url}/v1", **{"model": "tiny", "backoff_s": 0.02, **options})


def answers_of(lm: TextModel, asked: list[TextRequest]) -> dict[int, str]:
    return {i: completion.text for i, completion in lm.complete(asked, SAMPLING)}


def right_answers(asked: list[TextRequest]) -> dict[int, str]:
    return {i: f"{one.messages[-1].content} / {seed_of(one)}" for i, one in enumerate(asked)}


def failure_of(lm: TextModel, asked: list[TextRequest]) -> tuple[dict[int, Completion], GenerationError]:
    """What was yielded, and the error after it."""
    found = {}

    def read() -> None:
        for i, completion in lm.complete(asked, SAMPLING):
            found[i] = completion  # noqa: PERF403

    with pytest.raises(GenerationError) as caught:
        read()
    return found, caught.value


# asking and answering


def test_a_chat_request_carries_messages_sampling_and_a_seed(server) -> None:
    sampling = Sampling(temperature=0.7, top_p=0.9, top_k=5, max_new_tokens=7, stop=("\n", "."))
    [(position, completion)] = model(server.url).complete([request()], sampling)
    assert position == 0
    assert completion == Completion(f"hello / {seed_of(request())}", "stop", 1, 5)
    assert server.bodies == [
        {
            "model": "tiny",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
            "temperature": 0.7,
            "top_p": 0.9,
            "top_k": 5,
            "max_tokens": 7,
            "stop": ["\n", "."],
            "seed": seed_of(request()),
        }
    ]


def test_a_text_request_carries_the_text_and_fields_may_be_added_changed_and_left_out(server) -> None:
    more = {"min_p": 0.1, "temperature": 0.2, "max_tokens": None, "max_completion_tokens": 9}
    lm = model(server.url, chat=False, extra_body=more)
    assert answers_of(lm, [request()]) == {0: f"text of hello / {seed_of(request())}"}
    [body] = server.bodies
    assert body == {
        "model": "tiny",
        "prompt": "text of hello",
        "seed": seed_of(request()),
        "temperature": 0.2,
        "top_p": 0.9,
        "min_p": 0.1,
        "max_completion_tokens": 9,
    }


def test_a_request_without_messages_is_sent_as_one_turn_of_the_user(server) -> None:
    assert answers_of(model(server.url), [TextRequest("plain", (), "k")])[0].startswith("plain / ")


def test_seeds_differ_by_key_and_by_prompt_and_stay() -> None:
    seeds = {seed_of(request(text, key)) for text in "abc" for key in ("slot 0", "slot 1")}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of(TextRequest("a film", (Message("user", "a film"),), "slot 0")) == 2048357138


def test_the_name_of_a_server_gives_the_model(server) -> None:
    lm = text_model(f"openai:{server.url}/v1#tiny", chat=False)
    assert isinstance(lm, TextModel)
    assert answers_of(lm, [request()])[0].startswith("text of hello")


def test_no_requests_need_no_server() -> None:
    assert list(model("http://127.0.0.1:9").complete([], SAMPLING)) == []


def test_sixteen_requests_are_in_flight_and_share_the_wait(server) -> None:
    server.delay_s, server.hold_until = 0.5, 16
    lm = model(server.url)
    began = time.monotonic()
    assert answers_of(lm, requests(48)) == right_answers(requests(48))
    assert time.monotonic() - began < 48 * 0.5
    assert server.in_flight_max == 16
    assert (lm.usage.in_flight_max, lm.usage.sent, lm.usage.answered, lm.usage.repeated) == (16, 48, 48, 0)
    assert (lm.usage.prompt_tokens, lm.usage.new_tokens, lm.usage.in_flight) == (96, 240, 0)


def test_an_answer_is_yielded_while_others_are_still_written(server) -> None:
    server.delay_s = 0.1
    answering = model(server.url, concurrency=2).complete(requests(6), SAMPLING)
    next(answering)
    assert len(server.bodies) <= 3
    time.sleep(0.5)  # a reader that does not come back stops the sending
    assert len(server.bodies) <= 3
    assert len(list(answering)) == 5


def test_it_works_inside_a_running_event_loop(server) -> None:
    async def cell() -> dict[int, str]:
        return answers_of(model(server.url), requests(20))

    assert asyncio.run(cell()) == right_answers(requests(20))


def test_calls_at_the_same_time_do_not_mix(server) -> None:
    lm, found = model(server.url), {}
    asked = {name: [request(f"{name} {i}") for i in range(20)] for name in "ab"}
    threads = [threading.Thread(target=lambda n=n: found.update({n: answers_of(lm, asked[n])})) for n in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: right_answers(asked[name]) for name in asked}
    assert lm.usage.sent == 40


def test_no_thread_outlives_a_call_however_it_ends(server) -> None:
    before = set(threading.enumerate())
    list(model(server.url).complete(requests(3), SAMPLING))
    failure_of(model(server.url, model="other"), requests(3))
    failure_of(model("http://127.0.0.1:9", max_retries=0), requests(3))
    answering = model(server.url).complete(requests(30), SAMPLING)
    next(answering)
    answering.close()
    forgotten = model(server.url).complete(requests(30), SAMPLING)
    next(forgotten)
    del forgotten
    gc.collect()
    assert set(threading.enumerate()) == before


def test_connections_are_closed_however_a_call_ends(server, monkeypatch) -> None:
    import openai

    clients: list[openai.AsyncOpenAI] = []

    class Noted(openai.AsyncOpenAI):
        def __init__(self, **options) -> None:
            super().__init__(**options)
            clients.append(self)

    monkeypatch.setattr(openai, "AsyncOpenAI", Noted)
    list(model(server.url).complete(requests(3), SAMPLING))
    failure_of(model(server.url, model="other"), requests(3))
    answering = model(server.url).complete(requests(30), SAMPLING)
    next(answering)
    answering.close()
    assert [client.is_closed() for client in clients] == [True] * 3


def test_closing_hangs_up_on_what_is_in_flight(server) -> None:
    lm = model(server.url, concurrency=4)
    answering = lm.complete([request("quick"), *requests(10)], SAMPLING)
    next(answering)
    server.delay_s = 60
    time.sleep(0.2)
    began = time.monotonic()
    answering.close()
    assert time.monotonic() - began < 30
    assert lm.usage.in_flight == 0
    while server.in_flight:
        time.sleep(0.02)
    assert time.monotonic() - began < 30


def test_ctrl_c_ends_a_run_at_once_and_keeps_what_came(server, tmp_path) -> None:
    script = f"""
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from prompt_bandits.llms.openai_compatible import OpenAICompatibleLM
        from prompt_bandits.llms.requests import *
        lm = OpenAICompatibleLM("{server.url}/v1", "tiny", concurrency=2)
        asked = [TextRequest(str(i), (), "k") for i in range(100)]
        try:
            for i, completion in lm.complete(asked, Sampling()):
                print("got", i, flush=True)
        except KeyboardInterrupt:
            print("interrupted", lm.usage.in_flight, flush=True)
    """
    server.delay_s = 0.1
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("got")
    server.delay_s = 60
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=50)
    assert time.monotonic() - began < 30
    assert out.splitlines()[-1] == "interrupted 0"
    assert err == ""


# what a server's answer means


@pytest.mark.parametrize(
    ("text", "outcome", "said"),
    [("hello", "stop", True), ("a long one", "length", True), ("endless", "context_limit", False),
     ("rude", "content_filter", False), ("unspeakable", "content_filter", False)],
)  # fmt: skip
def test_outcomes_of_a_server(server, text, outcome, said) -> None:
    [(_, completion)] = model(server.url).complete([request(text)], SAMPLING)
    assert completion.outcome == outcome
    assert bool(completion.text) == said


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"message": "too much", "code": "context_length_exceeded"}),
        (400, {"object": "error", "message": "This model's maximum context length is 2048 tokens.", "code": 400}),
        (400, {"message": "The decoder prompt (length 90) is longer than the maximum model length of 64."}),
        (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 64. Given: 90 and 9"}),
        (422, {"error": "Input validation error: `inputs` must have less than 64 tokens. Given: 90"}),
        (400, {"error": {"code": 400, "message": "exceeds", "type": "exceed_context_size_error"}}),
        (400, "the request exceeds the available context size, try increasing it"),
        (413, {"detail": "The input (90 tokens) is longer than the model's context length (64 tokens)."}),
    ],
)
def test_refusals_for_length_are_context_limits(status, body) -> None:
    assert outcome_of_status(status, body, {}) == Completion("", "context_limit")


def test_refusals_by_a_filter_are_outcomes() -> None:
    azure = {"message": "filtered", "code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}
    assert outcome_of_status(400, azure, {}).outcome == "content_filter"
    said = {"choices": [{"finish_reason": "stop", "message": {"content": None, "refusal": "I cannot."}}]}
    assert completion_of(said, SAMPLING, chat=True) == Completion("", "content_filter")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(400, {"message": "no"}, Refused), (422, {"detail": [{"loc": "x"}]}, Refused), (401, "", NoAccess),
     (403, None, NoAccess), (404, {"message": "none"}, Fatal), (402, "", Fatal), (500, "<html>", Lost),
     (429, {"message": "slow", "code": "rate_limit_exceeded"}, Lost), (503, None, Lost), (408, "", Lost),
     (429, {"message": "pay", "code": "insufficient_quota"}, Fatal)],
)  # fmt: skip
def test_what_other_statuses_lead_to(status, body, kind) -> None:
    with pytest.raises((Lost, Refused, Fatal)) as caught:
        outcome_of_status(status, body, {})
    assert caught.type is kind
    assert str(caught.value).startswith(f"HTTP {status}")


@pytest.mark.parametrize(
    "answer",
    [None, [], "text", {}, {"choices": []}, {"choices": [{}]}, {"choices": [{"finish_reason": "stop"}]},
     {"choices": [{"finish_reason": "stop", "message": {}}]}, {"choices": [{"finish_reason": None, "message": {}}]},
     {"choices": [{"finish_reason": "abort", "message": {"content": "half a"}}]}],
)  # fmt: skip
def test_malformed_answers_are_lost_attempts(answer) -> None:
    with pytest.raises(Lost):
        completion_of(answer, SAMPLING, chat=True)


def test_half_a_character_does_not_get_into_a_text() -> None:
    answer = json.loads('{"choices": [{"finish_reason": "length", "text": "A \\ud83e\\udd8a and \\ud83e"}]}')
    assert completion_of(answer, SAMPLING, chat=False).text == "A 🦊 and ?"


def test_an_answer_ends_before_the_first_stop_string() -> None:
    answer = {"choices": [{"finish_reason": "length", "text": " A film.\nQuery:"}]}
    assert completion_of(answer, Sampling(stop=("Query", "\n")), chat=False) == Completion(" A film.", "stop")
    assert completion_of(answer, SAMPLING, chat=False) == Completion(" A film.\nQuery:", "length")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({}, 0), ({"retry-after": "2"}, 2), ({"retry-after": "1.5"}, 1.5), ({"retry-after-ms": "250"}, 0.25),
     ({"retry-after": "soon"}, 0), ({"retry-after": "-3"}, 0), ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0)],
)  # fmt: skip
def test_how_long_a_server_asks_to_wait(headers, seconds) -> None:
    assert retry_after_s(headers) == seconds


def test_a_date_to_come_back_at_is_understood() -> None:
    from email.utils import formatdate

    assert 50 < retry_after_s({"retry-after": formatdate(time.time() + 60, usegmt=True)}) <= 61


# failures on the way


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_survived_once(server, fault) -> None:
    with failing_proxy(server.url, lambda n: fault if n == 0 else "pass") as proxy:
        lm = model(proxy.url)
        assert answers_of(lm, [request()]) == right_answers([request()])
        assert [asked.fault for asked in proxy.asked] == [fault, "pass"]
        assert (lm.usage.sent, lm.usage.answered, lm.usage.repeated) == (2, 1, 1)


def test_under_a_storm_of_faults_only_what_was_lost_is_asked_again(server) -> None:
    rng = random.Random(0)
    storm = [rng.choice([*FAULTS, *["pass"] * 16]) for _ in range(2000)]
    asked = requests(80)
    with failing_proxy(server.url, storm.__getitem__) as proxy:
        proxy.retry_after = "0.05"
        lm = model(proxy.url, max_retries=20, backoff_s=0.005)
        assert answers_of(lm, asked) == right_answers(asked)
        assert proxy.again() == 0
        lost = sum(one.fault != "pass" for one in proxy.asked)
        assert lost > 20
        assert (lm.usage.sent, lm.usage.answered, lm.usage.repeated) == (80 + lost, 80, lost)


@pytest.mark.parametrize("fault", ["slow", "trickle"])
def test_an_attempt_is_given_up_after_its_time_even_when_bytes_drip_in(server, fault) -> None:
    with failing_proxy(server.url, lambda n: fault if n == 0 else "pass") as proxy:
        proxy.delay_s = 60
        began = time.monotonic()
        assert answers_of(model(proxy.url, timeout_s=0.4), [request()]) == right_answers([request()])
        assert 0.4 < time.monotonic() - began < 30


def test_retry_after_is_kept_to_by_all(server) -> None:
    server.delay_s = 0.05
    with failing_proxy(server.url, lambda n: "429" if n == 0 else "pass") as proxy:
        proxy.retry_after = "1.5"
        assert len(answers_of(model(proxy.url, concurrency=2, backoff_s=0.001), requests(6))) == 6
        waits = [asked.time - proxy.asked[0].time for asked in proxy.asked]
        assert sum(wait > 1.2 for wait in waits) == 5  # all but those two that were in flight


def test_a_server_that_asks_to_come_back_in_an_hour_is_not_waited_for(server) -> None:
    with failing_proxy(server.url, lambda n: "429") as proxy:
        proxy.retry_after = "3600"
        found, error = failure_of(model(proxy.url), [request()])
        assert found == {}
        assert len(proxy.asked) == 1
        assert "HTTP 429" in str(error)


def test_pauses_double_and_vary(server) -> None:
    with failing_proxy(server.url, lambda n: "500") as proxy:
        began = time.monotonic()
        failure_of(model(proxy.url, max_retries=4, backoff_s=0.1), [request()])
        assert time.monotonic() - began > 0.5 * 1.5  # 0.1 + 0.2 + 0.4 + 0.8, each halved at most
        assert len(proxy.asked) == 5


def test_requests_that_fail_for_good_leave_the_others_alone(server) -> None:
    asked = [request(f"poison {i}" if i in (3, 4, 17) else f"film {i}") for i in range(40)]
    found, error = failure_of(model(server.url, concurrency=2), asked)
    assert set(found) == set(range(40)) - {3, 4, 17}
    assert isinstance(error, RequestsFailed)
    assert error.missing == (3, 4, 17)
    assert set(error.reasons) == {3, 4, 17}
    assert "3 of 40 requests have no answer, 37 have" in str(error)
    assert "I do not like this prompt" in str(error)
    assert "missing: 3-4, 17" in str(error)
    assert len(server.bodies) == 40


def test_a_request_that_is_lost_every_time_leaves_the_others_alone(server) -> None:
    with failing_proxy(server.url, lambda n: "pass") as proxy:
        proxy.doomed = "film 5"
        found, error = failure_of(model(proxy.url, max_retries=2, concurrency=2), requests(30))
        assert found.keys() == set(range(30)) - {5}
        assert isinstance(error, RequestsFailed)
        assert error.missing == (5,)
        assert len(proxy.asked) == 29 + 3


def test_many_lost_requests_with_answers_between_them_do_not_end_a_run(server) -> None:
    asked = [request(f"doomed {i}" if i % 3 == 0 else f"film {i}") for i in range(90)]
    with failing_proxy(server.url, lambda n: "pass") as proxy:
        proxy.doomed = "doomed"
        found, _ = failure_of(model(proxy.url, max_retries=0, concurrency=2), asked)
        assert len(found) == 60
        assert len(proxy.asked) == 90


def test_a_server_that_stays_dead_ends_the_run_with_a_clear_error(server) -> None:
    with failing_proxy(server.url, lambda n: "pass" if n < 10 else "drop") as proxy:
        lm = model(proxy.url, max_retries=2, concurrency=4)
        found, error = failure_of(lm, requests(500))
        assert len(proxy.asked) < 100
        assert len(found) == 10
        assert "490 of 500 requests have no answer, 10 have" in str(error)
        assert "16 requests in a row or more were lost for good" in str(error)
        assert "Server disconnected" in str(error)
        assert isinstance(error, RequestsFailed)
        assert len(error.missing) == 490


def test_nobody_listens_is_told(server) -> None:
    _, error = failure_of(model("http://127.0.0.1:9", max_retries=1), requests(2))
    assert "http://127.0.0.1:9/v1" in str(error)
    assert "ConnectError" in str(error)


@pytest.mark.parametrize(("options", "words"), [
    ({"model": "other"}, "HTTP 404: The model other does not exist"),
    ({"api_key_env": "MY_KEY"}, "MY_KEY, which is not set"),
    ({"api_key_env": None}, "no key is sent"),
])  # fmt: skip
def test_a_wrong_key_or_model_ends_the_run_at_once(server, options, words) -> None:
    server.key = "right"
    if "model" in options:
        server.key = None
    lm = model(server.url, concurrency=2, **options)
    found, error = failure_of(lm, requests(100))
    assert found == {}
    assert lm.usage.repeated == 0
    assert len(server.bodies) <= 4
    assert words in str(error)
    assert isinstance(error, RequestsFailed)
    assert error.missing == tuple(range(100))


def test_answers_in_flight_when_the_key_is_refused_are_still_yielded(server) -> None:
    server.delay_s = 0.3
    with failing_proxy(server.url, lambda n: "401" if n == 1 else "pass") as proxy:
        found, _ = failure_of(model(proxy.url, concurrency=2), requests(50))
        assert len(found) == 1
        assert len(proxy.asked) == 2


# rate limits


def test_a_gate_spaces_its_turns() -> None:
    gate = Gate(requests_per_minute=60)
    assert [gate.turn_s(100) for _ in range(5)] == pytest.approx([0, 1, 2, 3, 4], abs=0.5)
    gate = Gate(requests_per_minute=60, tokens_per_minute=600)
    assert [gate.turn_s(30), gate.turn_s(1), gate.turn_s(1)] == pytest.approx([0, 3, 4], abs=0.5)
    gate = Gate()
    assert [gate.turn_s(10**6), gate.turn_s(1)] == [0, 0]
    gate.close_for(5)
    assert gate.turn_s(1) == pytest.approx(5, abs=0.5)


def test_requests_per_minute_are_kept_over_calls(server) -> None:
    lm = model(server.url, requests_per_minute=1200)
    began = time.monotonic()
    for _ in range(2):
        assert len(answers_of(lm, requests(10))) == 10
    assert time.monotonic() - began > 19 * 0.05


def test_tokens_per_minute_are_kept(server) -> None:
    lm = model(server.url, tokens_per_minute=60 * 37 * 10)  # 30 new ones and 7 guessed for the prompt: 10 a second
    began = time.monotonic()
    assert len(answers_of(lm, [request("a film")] * 11)) == 11
    assert time.monotonic() - began > 0.9


# money


def test_an_estimate_is_the_sum_of_its_requests(server, caplog) -> None:
    asked = [request("abcdefgh"), request("ab")]  # "Be brief." is 9 characters, 3 tokens
    assert estimate(asked, SAMPLING) == CostEstimate(2, 3 + 2 + 3 + 1, 60)
    assert estimate(asked, SAMPLING, chat=False).prompt_tokens == 4 + 3
    prices = Prices(2.0, 10.0)
    counted = estimate(asked, SAMPLING, tokenizer=Words(), prices=prices)
    assert counted == CostEstimate(2, 6, 60, (6 * 2 + 60 * 10) / 1e6, counted=True)
    assert str(counted) == "2 requests, 6 prompt tokens and at most 60 new ones: a cost of at most 0.0006"
    with caplog.at_level(logging.INFO):
        lm = model(server.url, price_per_million_prompt_tokens=1e3, price_per_million_new_tokens=1e4)
        assert str(lm.estimate(asked, SAMPLING)) in caplog.text
    assert (
        "9 prompt tokens (guessed at 4 characters each) and at most 60 new ones: a cost of about 0.6090" in caplog.text
    )
    assert server.bodies == []


class Words:
    def encode(self, text):
        return text.split()


def test_more_tokens_are_set_aside_than_a_prompt_can_have() -> None:
    tiktoken_worst = "🦊" * 50  # byte pairs make at most one token a byte
    prompt_tokens, new_tokens = most_tokens(request(tiktoken_worst), SAMPLING, chat=True)
    assert prompt_tokens > 200
    assert new_tokens == 30


def test_a_budget_of_tokens_is_never_passed_and_what_it_bought_is_kept(server) -> None:
    budget = Budget(max_tokens=1000)
    lm = model(server.url, budget=budget)
    found, error = failure_of(lm, requests(200))
    assert isinstance(error, BudgetExceeded)
    really = lm.usage.prompt_tokens + lm.usage.new_tokens
    assert budget.spent.tokens == really == 7 * len(found)
    assert 1000 - most(lm) < really <= 1000
    assert set(error.missing) == set(range(200)) - set(found)
    assert f"budget of 1,000 tokens, of which {really:,} tokens spent" in str(error)
    assert len(server.bodies) == len(found)


def most(lm: OpenAICompatibleLM) -> int:
    return sum(most_tokens(requests(200)[-1], SAMPLING, lm.chat))


def test_a_budget_of_money_is_counted_in_the_models_prices(server) -> None:
    prices = {"price_per_million_prompt_tokens": 10_000.0, "price_per_million_new_tokens": 100_000.0}
    budget = Budget(max_cost=10.0)  # an answer costs 0.02 + 0.5, and could cost up to 4.2
    found, error = failure_of(model(server.url, budget=budget, **prices), requests(100))
    assert isinstance(error, BudgetExceeded)
    assert budget.spent.cost == pytest.approx(0.52 * len(found))
    assert 11 <= len(found) <= 19
    with pytest.raises(ValueError, match="max_cost needs price_per_million"):
        model(server.url, budget=budget)


def test_a_budget_that_has_room_for_one_at_a_time_is_used_by_one_at_a_time(server) -> None:
    server.delay_s = 0.02
    asked = requests(8)
    lm = model(server.url, budget=Budget(max_tokens=7 * 7 + most(model(server.url))))
    assert answers_of(lm, asked) == right_answers(asked)
    assert server.in_flight_max < 8


def test_answers_that_were_lost_on_the_way_are_booked_in_full_and_refused_ones_not_at_all(server) -> None:
    one = sum(most_tokens(request(), SAMPLING, chat=True))
    for fault, booked in [("lose", one), ("half", one), ("500", 0), ("429", 0)]:
        with failing_proxy(server.url, lambda n, fault=fault: fault if n == 0 else "pass") as proxy:
            budget = Budget(max_tokens=10_000)
            answers_of(model(proxy.url, budget=budget), [request()])
            assert budget.spent.tokens == booked + 1 + 5, fault
    budget = Budget(max_tokens=10_000)
    failure_of(model("http://127.0.0.1:9", max_retries=1, budget=budget), [request()])
    assert budget.spent == Amount()


def test_a_server_that_tells_no_usage_is_booked_in_full(server) -> None:
    server.usage = False
    budget = Budget(max_tokens=10_000)
    answers_of(model(server.url, budget=budget), [request()])
    assert budget.spent.tokens == sum(most_tokens(request(), SAMPLING, chat=True))


def test_a_budget_learns_from_answers_that_took_more_than_was_asked_for() -> None:
    budget = Budget(max_tokens=100)
    first = budget.set_aside(Amount(20))
    assert first is not None
    budget.book(first, Amount(50))
    second = budget.set_aside(Amount(20))
    assert second is not None
    assert second.kept == Amount(50)
    assert budget.set_aside(Amount(1)) is None
    budget.book(second, Amount(20))
    with pytest.raises(BudgetExceeded, match="budget of 100 tokens, of which 70 tokens spent"):
        budget.set_aside(Amount(1))


def test_two_models_share_a_budget(server) -> None:
    budget = Budget(max_tokens=700)
    models = [model(server.url, budget=budget) for _ in range(2)]
    found = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: failure_of(models[i], requests(300))})) for i in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(error, BudgetExceeded) for _, error in found.values())
    assert budget.spent.tokens == sum(lm.usage.prompt_tokens + lm.usage.new_tokens for lm in models) <= 700


# keys


def everything_in(value, depth: int = 6) -> str:
    """The text of an object, of all that it holds, and of what an error has behind it."""
    parts = [repr(value), str(value)]
    if depth:
        inner = list(vars(value).values()) if hasattr(value, "__dict__") else []
        inner += [value.__cause__, value.__context__, *value.args] if isinstance(value, BaseException) else []
        inner += list(value.values()) if isinstance(value, dict) else []
        inner += list(value) if isinstance(value, (list, tuple, set)) else []
        parts += [everything_in(one, depth - 1) for one in inner if one is not None]
    return "\n".join(parts)


def test_the_key_is_sent_and_lands_nowhere_else(server, tmp_path, monkeypatch, caplog, capfd) -> None:
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    server.key = KEY
    caplog.set_level(logging.DEBUG)
    lm = model(server.url, api_key_env="MY_KEY", max_retries=1)
    with SentenceCache(tmp_path / "cache.sqlite") as cache:
        answers_of(CachedLM(lm, cache), [*requests(3), request("rude")])
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    server.key = "another"  # the server now refuses, and repeats the key that it got
    errors = [failure_of(lm, requests(2))[1]]
    with failing_proxy(server.url, lambda n: FAULTS[n % len(FAULTS)]) as proxy:
        errors.append(failure_of(model(proxy.url, api_key_env="MY_KEY", max_retries=0), requests(20))[1])
    assert "[key]" in str(errors[0])
    told = [everything_in(x) for x in (lm, lm.identity, lm.usage, *errors)]
    told += ["".join(traceback.format_exception(error)) for error in errors]
    told += [caplog.text, *capfd.readouterr()]
    assert not [text for text in told if KEY in text or "0123456789" in text]
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [data for data in files if KEY.encode() in data]


def test_without_its_own_variable_no_key_is_sent(server, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for env in ("MY_KEY", None):
        answers_of(model(server.url, api_key_env=env), [request()])
    assert KEY not in json.dumps(server.headers)


def test_a_key_that_cannot_be_sent_is_refused_without_being_told(server, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ключ")
    with pytest.raises(ValueError, match="OPENAI_API_KEY: expected a key of printable ASCII") as caught:
        list(model(server.url).complete([request()], SAMPLING))
    assert "ключ" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [f"http://user:{KEY}@localhost/v1", f"https://{KEY}@localhost/v1", f"http://localhost/v1?key={KEY}",
     f"http://localhost/v1#{KEY}", f"ftp://{KEY}/v1", KEY, f"http:///{KEY}", f"http://localhost:{KEY}/v1"],
)  # fmt: skip
def test_an_address_with_credentials_is_refused_without_being_told(url) -> None:
    with pytest.raises(ValueError, match="base_url: expected") as caught:
        OpenAICompatibleLM(url, "tiny")
    assert KEY not in everything_in(caught.value)


def test_identities_tell_models_apart() -> None:
    made = [
        model("http://a", revision=revision, chat=chat, extra_body=body)
        for revision in ("", "2") for chat in (True, False) for body in (None, {"min_p": 0.1}, {"min_p": 0.2})
    ]  # fmt: skip
    made += [model("http://b"), model("http://a", model="other")]
    assert len({json.dumps(lm.identity) for lm in made}) == len(made)
    assert OpenAICompatibleLM("http://a/v1/", "tiny").identity == model("http://a", timeout_s=3, concurrency=2).identity
    assert repr(made[0]) == "OpenAICompatibleLM('http://a/v1', 'tiny')"


# arguments


@pytest.mark.parametrize(
    ("options", "field"),
    [({"concurrency": 0}, "concurrency"), ({"max_retries": -1}, "max_retries"), ({"timeout_s": 0}, "timeout_s"),
     ({"backoff_s": -1}, "backoff_s"), ({"requests_per_minute": 0}, "requests_per_minute"),
     ({"tokens_per_minute": -5}, "tokens_per_minute"), ({"price_per_million_new_tokens": 1.0}, "price_per_million"),
     ({"price_per_million_new_tokens": -1.0, "price_per_million_prompt_tokens": 0}, "price_per_million_new_tokens")],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(options, field) -> None:
    with pytest.raises(ValueError, match=field):
        model("http://localhost", **options)


def test_budgets_out_of_range_are_refused() -> None:
    for options in ({}, {"max_cost": 0.0}, {"max_tokens": -1}, {"max_cost": float("nan")}):
        with pytest.raises(ValueError, match=r"budget|max_"):
            Budget(**options)


def test_a_missing_package_is_told(monkeypatch) -> None:
    monkeypatch.setattr(openai_compatible, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'prompt_bandits\[openai\]'"):
        model("http://localhost")


def test_importing_and_making_a_model_loads_no_client() -> None:
    code = (
        "import sys; from prompt_bandits.llms.openai_compatible import OpenAICompatibleLM;"
        "OpenAICompatibleLM('http://localhost/v1', 'm'); print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"openai", "tenacity", "anyio", "torch", "transformers"} & set(out)


def test_positions_are_written_short() -> None:
    assert positions([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert positions(range(0, 60, 2), most=2) == "0, 2, and 28 more"


# the cache before it


def test_after_a_dead_server_only_the_missing_are_asked(server, tmp_path) -> None:
    asked = requests(60)
    cache = SentenceCache(tmp_path / "cache.sqlite")
    with failing_proxy(server.url, lambda n: "pass" if n < 25 else "drop") as proxy:
        found, error = failure_of(CachedLM(model(proxy.url, max_retries=1, concurrency=4), cache), asked)
        assert len(found) == 25
        assert isinstance(error, RequestsFailed)
        assert len(error.missing) == 35
        seen = len(proxy.asked)
        proxy.fault_of = lambda n: "pass"
        lm = CachedLM(model(proxy.url), cache)
        assert answers_of(lm, asked) == right_answers(asked)
        assert len(proxy.asked) == seen + 35
        assert proxy.again() == 0
        assert len(proxy.asked) == seen + 35
    assert answers_of(CachedLM(lm.model, cache, replay=True), asked) == right_answers(asked)


KILLED = """
    import sys
    from prompt_bandits.llms.cache import CachedLM, SentenceCache
    from prompt_bandits.llms.openai_compatible import OpenAICompatibleLM
    from prompt_bandits.llms.requests import *
    url, path = sys.argv[1:]
    lm = OpenAICompatibleLM(url + "/v1", "tiny", concurrency=8, backoff_s=0.01)
    asked = [TextRequest(f"film {i}", (), "slot 0") for i in range(80)]
    for i, completion in CachedLM(lm, SentenceCache(path)).complete(asked, Sampling()):
        print(i, flush=True)
"""


def test_a_killed_process_asks_again_only_for_what_was_in_flight(server, tmp_path) -> None:
    server.delay_s = 0.02
    path = tmp_path / "cache.sqlite"
    with failing_proxy(server.url, lambda n: "pass" if n % 7 else FAULTS[n // 7 % len(FAULTS)]) as proxy:
        proxy.retry_after = "0.05"
        command = [sys.executable, "-c", textwrap.dedent(KILLED), proxy.url, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(30):
                process.stdout.readline()
            process.kill()
        cache = SentenceCache(path)
        kept = {answer.request.text for answer in cache}
        assert 30 <= len(kept) < 80
        first = len(proxy.asked)
        asked = [TextRequest(f"film {i}", (), "slot 0") for i in range(80)]
        assert len(dict(CachedLM(model(proxy.url), cache).complete(asked, Sampling()))) == 80
        assert not kept & {one.body["messages"][0]["content"] for one in proxy.asked[first:]}
        assert proxy.again() <= 8


# a real server of a real model


@pytest.fixture(scope="module")
def served_model(tmp_path_factory):
    """(URL, name) of `transformers serve` with a tiny model with random weights."""
    from transformers.utils.import_utils import is_serve_available

    if not is_serve_available():
        pytest.skip("transformers serve needs: pip install 'transformers[serving]'")
    from llm_models import CHAT_TEMPLATE, save_tiny_model

    folder = save_tiny_model(tmp_path_factory.mktemp("model"), chat_template=CHAT_TEMPLATE, max_positions=512)
    port = free_port()
    log = tmp_path_factory.mktemp("log") / "serve.log"
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--device", "cpu"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=out, stderr=subprocess.STDOUT
        )
    try:
        wait_for_port(port, process, log)
        yield f"http://127.0.0.1:{port}", str(folder)
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen, log: Path) -> None:
    import socket

    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(log.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("chat", [True, False])
def test_transformers_serve_answers_through_a_failing_proxy(served_model, chat, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    url, name = served_model
    template = PromptTemplate()
    asked = [template.request(f"Film {i}", "space", f"slot {i % 2}") for i in range(24)]
    sampling = Sampling(max_new_tokens=8)
    storm = ["pass", "drop", "pass", "lose", "half", "429", "pass", "500", "truncate", "pass"]
    with failing_proxy(url, lambda n: storm[n % len(storm)]) as proxy:
        proxy.retry_after = "0.05"
        lm = model(proxy.url, model=name, chat=chat, max_retries=20)
        cache = SentenceCache(tmp_path / "cache.sqlite")
        found = dict(CachedLM(lm, cache).complete(asked, sampling))
        assert sorted(found) == list(range(24))
        assert all(completion.outcome in ("stop", "length") for completion in found.values())
        assert all(0 < completion.new_tokens <= 8 and completion.prompt_tokens > 10 for completion in found.values())
        assert len({completion.text for completion in found.values()}) > 12
        assert proxy.again() == 0
        lost = Counter(one.fault == "pass" for one in proxy.asked)[False]
        assert lost > 5
        assert (lm.usage.sent, lm.usage.repeated) == (24 + lost, lost)
        assert lm.usage.in_flight_max >= 8
        assert dict(CachedLM(lm, cache, replay=True).complete(asked, sampling)) == found


@pytest.mark.slow
def test_transformers_serve_tells_a_wrong_model_and_takes_stop_strings(served_model, monkeypatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    url, name = served_model
    _, error = failure_of(model(url, model="other"), requests(2))
    assert "pinned" in str(error)
    [(_, free)] = model(url, model=name, concurrency=1).complete([request()], Sampling(max_new_tokens=12))
    assert len(free.text) > 3
    [(_, again)] = model(url, model=name, concurrency=1).complete([request()], Sampling(max_new_tokens=12))
    assert again == free  # the seed is kept to
    stop = free.text[2:4]
    [(_, cut)] = model(url, model=name).complete([request()], Sampling(max_new_tokens=12, stop=(stop,)))
    assert stop not in cut.text
