"""A handful of users, films and keywords with a bank of made-up sentences: movie environments without any model."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np

from prompt_bandits.movie.folder import MovieFolder, WrittenSentences, seal, write_sentences
from prompt_bandits.movie.rewards.head import RewardHead
from prompt_bandits.movie.table_files import write_tables
from prompt_bandits.movie.tables import MovieTables
from prompt_bandits.rounds import named_generator
from prompt_bandits.types import Prompts, text_array

N_USERS, N_FILMS, N_PROMPTS, N_SLOTS, N_BASE = 14, 6, 9, 3, 4
DIM, DIM_FEATURES = 4, 5
TITLES = ("Amélie (2001)", "七人の侍 (1954)", "Œdipe", "Alien", "Heat", "Brazil")[:N_FILMS]


def made_up_tables(n_prompts: int = N_PROMPTS) -> MovieTables:
    draw = named_generator(7, "made-up tables")
    pairs = np.array(list(product(range(N_USERS), range(N_FILMS))))
    return MovieTables(
        user_embedding=draw.normal(size=(N_USERS, DIM)).astype(np.float32),
        title=text_array(TITLES),
        item_embedding=draw.normal(size=(N_FILMS, DIM)).astype(np.float32),
        prompts=Prompts.from_embedding(draw.normal(size=(n_prompts, DIM)), [f"keyword {a}" for a in range(n_prompts)]),
        interactions=pairs[draw.random(len(pairs)) < 0.7],
        genres=text_array(["Drama"] * N_FILMS),
    )


def made_up_sentences(n_prompts: int = N_PROMPTS) -> WrittenSentences:
    """Every film with every keyword in every slot, and without; all of them different."""
    written = [(film, a, slot) for film, a, slot in product(range(N_FILMS), range(n_prompts), range(N_SLOTS))]
    written += [(film, -1, slot) for film, slot in product(range(N_FILMS), range(N_BASE))]
    film, prompt, slot = np.array(written).T
    draw = named_generator(8, "made-up sentences")
    half = [draw.normal(size=(len(film), dim)).astype(np.float16) for dim in (DIM, DIM_FEATURES)]
    text = text_array(f"Film {f}, as keyword {a} has it: “{s}”." for f, a, s in written)
    return WrittenSentences(film, prompt, slot, text, half[0].astype(np.float32), half[1].astype(np.float32))


def made_up_head() -> RewardHead:
    draw, hidden = named_generator(9, "made-up head"), 8
    return RewardHead(
        user_embedding=made_up_tables().user_embedding,
        user_bias=0.3 * draw.normal(size=N_USERS),
        item_bias=0.3 * draw.normal(size=N_FILMS),
        hidden_weight=draw.normal(size=(hidden, DIM + DIM_FEATURES)),
        hidden_bias=draw.normal(size=hidden),
        out_weight=draw.normal(size=hidden),
        out_bias=0.1,
    )


def made_up_folder(folder: Path) -> MovieFolder:
    """An asset folder, without language model and encoder."""
    from safetensors.numpy import save_file

    (folder / "reward").mkdir(parents=True)
    about = text_array(f"seeks taste {user}" for user in range(N_USERS))
    write_tables(folder, made_up_tables(), about)
    write_sentences(folder, made_up_sentences())
    save_file(made_up_head().arrays(), folder / "reward" / "head.safetensors")
    projection = {"weight": np.ones((DIM_FEATURES, 2), np.float32), "bias": np.zeros(DIM_FEATURES, np.float32)}
    save_file(projection | {"max_length": np.array(20)}, folder / "reward" / "projection.safetensors")
    return seal(folder, {"template": {"prefix": "Title: "}, "sampling": {"max_new_tokens": 8}})
