"""How the libraries' trainers are run here: on the CPU, from a seed, quietly, keeping nothing but the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def trainer_arguments(
    folder: Path, seed: int, epochs: float, batch_size: int, learning_rate: float, arguments: Any = None
) -> Any:
    """`TrainingArguments` (or the given class of arguments) for a training that is short and repeats."""
    from transformers import TrainingArguments

    return (arguments or TrainingArguments)(
        output_dir=str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=batch_size,
        learning_rate=learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=50,
        weight_decay=0.01,
        seed=seed,
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        logging_steps=100,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
