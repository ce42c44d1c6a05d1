"""The shipped reward simulator, by the published recipe: collaborative filtering first, then from sentences.

It reads them through the frozen encoder of the sentence encoder, in the place of the published DistilBERT.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prompt_bandits.movie.building.users import Readings
from prompt_bandits.movie.rewards.settings import RewardFitting, SentenceRewardFitting


@dataclass(frozen=True)
class RewardSettings:
    """Size and fitting of the reward simulator."""

    dim: int = 16
    max_length: int = 48
    batch_size: int = 256
    max_epochs: int = 20
    lr: float = 3e-3


def train_reward(
    readings: Readings, sizes: tuple[int, int], encoder: Path, settings: RewardSettings, seed: int, folder: Path
) -> None:
    """Fits the simulator to readings and writes it to `folder`, its encoder in half precision.

    Args:
        readings: who liked what.
        sizes: number of users and of films.
        encoder: a folder with a transformers encoder whose first token stands for the text.
        settings: sizes and fitting.
        seed: of everything random.
        folder: to write to.
    """
    from transformers import AutoModel, AutoTokenizer

    from prompt_bandits.movie.rewards.cf_folder import save_collaborative_filtering
    from prompt_bandits.movie.rewards.training import fit_collaborative_filtering, fit_sentence_reward

    rows = (readings.user_id, readings.film)
    first = fit_collaborative_filtering(
        *rows, readings.liked, *sizes, RewardFitting(dim=settings.dim, lr=settings.lr, loss="bce"), seed
    )
    fitting = SentenceRewardFitting(
        lr=settings.lr,
        loss="bce",
        batch_size=settings.batch_size,
        max_epochs=settings.max_epochs,
        dim=settings.dim,
        max_length=settings.max_length,
        freeze_base=True,
        random_rate=0.0,
        mask_rate=0.0,
    )
    base: Any = AutoModel.from_pretrained(encoder)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    sentences = [item.sentence for item in readings.described]
    fitted = fit_sentence_reward(*rows, sentences, readings.liked, base.float(), tokenizer, first.head, fitting, seed)
    fitted.base.half()
    save_collaborative_filtering(fitted.save(folder), first.head, first.item_embedding)
