"""Recording on a large scale with a live LLM: several workers, each with many requests in flight at one server."""

from __future__ import annotations

import numpy as np
import pytest
from llm_models import save_tiny_model
from made_up_movies import DIM, made_up_folder, made_up_tables

from prompt_bandits import collect
from prompt_bandits.llms.cache import SentenceCache
from prompt_bandits.movie.folder import seal
from prompt_bandits.policies import Uniform
from prompt_bandits.registration import MOVIE_ID

for needed in ("openai", "tenacity", "uvicorn", "starlette"):
    pytest.importorskip(needed)

from http_servers import failing_proxy, tiny_server  # noqa: E402


@pytest.fixture(scope="module")
def movies(tmp_path_factory) -> dict[str, str]:
    """An asset folder and an encoder."""
    from prompt_bandits.movie.encoders import LLMStateEncoder

    folder = made_up_folder(tmp_path_factory.mktemp("movies") / "assets")
    model = save_tiny_model(folder.path / "llm")
    LLMStateEncoder(model, dim=DIM).fit(made_up_tables().prompts.text).save(folder.path / "encoder")
    seal(folder.path, {"sampling": {"max_new_tokens": 4}})
    return {"assets": str(folder.path), "encoder": str(folder.path / "encoder")}


@pytest.mark.slow
def test_workers_with_requests_in_flight_record_what_a_replay_by_ray_records(movies, tmp_path, monkeypatch) -> None:
    """Through a server that fails now and then; no answer is in the cache twice, and none is lost."""
    pytest.importorskip("ray")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with tiny_server() as server, failing_proxy(server.url, lambda n: "503" if n % 9 == 4 else "pass") as proxy:
        server.delay_s = 0.02
        options = {"api_key_env": None, "concurrency": 8, "backoff_s": 0.02}
        written = {"llm": f"openai:{proxy.url}/v1#tiny", "llm_options": options, "cache": str(tmp_path / "c.sqlite")}
        world = movies | written | {"reward": "prompt_cosine"}
        data = collect(MOVIE_ID, Uniform(), 2048, path=tmp_path / "live", workers=2, **world)
        asked = len(server.bodies)
        again = collect(MOVIE_ID, Uniform(), 2048, path=tmp_path / "again", **world)
        assert len(server.bodies) == asked, "everything was in the cache"
        with pytest.raises(ValueError, match="engine='ray': expected sentences that are known beforehand"):
            collect(MOVIE_ID, Uniform(), 2048, path=tmp_path / "ray", engine="ray", **world)
    replayed = collect(MOVIE_ID, Uniform(), 2048, path=tmp_path / "ray", engine="ray", replay=True, **world)
    assert data.content_hash() == again.content_hash() == replayed.content_hash()
    np.testing.assert_array_equal(np.sort(data.load().round_id), np.arange(2048))
    kept = [answer.fingerprint for answer in SentenceCache(tmp_path / "c.sqlite")]
    assert len(set(kept)) == len(kept)
    assert asked <= 2 * len(kept), "each worker asks once at most for what it needs"
    assert server.in_flight_max >= 8
