"""Builds an asset folder of MovieDescription-v0: the package's own from its facts, or one from a MovieLens folder.

A build that was stopped goes on with the same command; nothing is at --out before all of it is there.

examples:
  prompt-bandits build-movie-assets --tiny --out runs/tiny-assets
  prompt-bandits build-movie-assets --movielens ml-1m --llm hf:HuggingFaceTB/SmolLM2-135M-Instruct --out runs/ml-1m
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from .common import Answer, CommonArgs

_OF_MOVIELENS = ("llm", "encoder", "prompts", "n_prompts", "n_slots", "min_positive", "min_negative")


@dataclass(frozen=True)
class Args(CommonArgs):
    """What to build."""

    out: Path = Path("movie_assets")
    """the folder to make"""
    seed: int = 0
    """of everything random"""
    tiny: bool = False
    """the package's own, but small: a minute or two, to see that everything works"""
    overwrite: bool = False
    """replace what is at --out"""
    movielens: Path | None = None
    """a MovieLens folder (100k, 1M, 10M, 20M, 25M or 32M): the published pipeline on it"""
    llm: str | None = None
    """with --movielens: writes descriptions; hf:MODEL or openai:URL#MODEL (hf:mistralai/Mistral-7B-Instruct-v0.2)"""
    reward_encoder: str = "distilbert-base-uncased"
    """with --movielens: reads them for the reward simulator"""
    encoder: str | None = None
    """with --movielens: features of texts: a sentence-transformers model, or states:MODEL; else the states of --llm"""
    prompts: Path | None = None
    """with --movielens: a file of keywords; else MovieLens' tags and genres"""
    n_prompts: int | None = None
    """with --movielens: so many of them"""
    n_slots: int | None = None
    """with --movielens: sentences for each film and keyword, written beforehand; 0 asks the model in every round"""
    min_positive: int | None = None
    """with --movielens: ratings liked that a user and a film need to be kept; published: 10"""
    min_negative: int | None = None
    """with --movielens: ratings not liked that they need; published: 10"""


def run(args: Args) -> Answer:
    """Where it is.

    Raises:
        ValueError: arguments that do not go together.
        OSError: something at --out, and no --overwrite; files that are not to be had.
    """
    _check(args)
    if args.movielens is None:
        from prompt_bandits.movie.building.pipeline import Build
        from prompt_bandits.movie.building.recipe import Recipe

        Build(args.out, Recipe.tiny(args.seed) if args.tiny else Recipe(args.seed)).run(args.overwrite)
    else:
        _from_movielens(args)
    text = f"in {args.out}: card.md says how good it is; gym.make('MovieDescription-v0', assets={str(args.out)!r})"
    return Answer(text, {"out": args.out, "card": args.out / "card.md"})


def _check(args: Args) -> None:
    given = [name for name in _OF_MOVIELENS if getattr(args, name) is not None]
    if args.movielens is None and given:
        raise ValueError(f"--{given[0].replace('_', '-')}: expected --movielens beside it")
    if args.movielens is not None and args.tiny:
        raise ValueError("--tiny: expected none beside --movielens")
    if args.movielens is not None and args.llm is None:
        raise ValueError("--llm: expected hf:MODEL or openai:URL#MODEL with --movielens, got none")


def _from_movielens(args: Args) -> None:
    from prompt_bandits.movie.movielens.build import build_from_movielens
    from prompt_bandits.movie.movielens.settings import MovieLensSettings

    assert args.movielens is not None
    assert args.llm is not None
    settings = MovieLensSettings(seed=args.seed, n_prompts=args.n_prompts)
    rules = {name: value for name in ("min_positive", "min_negative") if (value := getattr(args, name)) is not None}
    settings = replace(settings, rules=replace(settings.rules, **rules))
    if args.n_slots is not None:
        settings = replace(settings, n_slots=args.n_slots)
    build_from_movielens(
        args.movielens,
        args.out,
        llm=args.llm,
        reward_encoder=args.reward_encoder,
        encoder=args.encoder,
        prompts=args.prompts,
        settings=settings,
        overwrite=args.overwrite,
    )
