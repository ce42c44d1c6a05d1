"""What is kept of an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

_SENTENCE_END = re.compile(r"[.!?…][\"”’')\]]*(?=\s|$)")
_QUOTES = {'"': '"', "“": "”", "«": "»", "'": "'"}


@dataclass(frozen=True)
class PostProcessing:
    """Steps from a model's answer to the sentence, in this order. Caches keep the answer before them.

    Args:
        strip: without white space at both ends.
        first_line: up to the first end of a line; empty lines before it are passed over.
        first_sentence: up to the first `.`, `!`, `?` or `…` before white space, that mark included ("Dr. No" ends
            early).
        unquote: without quotation marks around the whole.
    """

    strip: bool = True
    first_line: bool = False
    first_sentence: bool = False
    unquote: bool = False

    saved_as: ClassVar[str] = "post_processing"

    def __call__(self, text: str) -> str:
        """The sentence in an answer."""
        if self.strip:
            text = text.strip()
        if self.first_line:
            text = next((line for line in text.splitlines() if line.strip()), "")
        if self.first_sentence:
            end = _SENTENCE_END.search(text)
            text = text[: end.end()] if end else text
        if self.unquote and len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
            text = text[1:-1]
        return text.strip() if self.strip else text
