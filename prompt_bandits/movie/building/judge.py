"""Whether sentences express their keyword, judged by a classifier of the corpus that never saw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from prompt_bandits.types import BoolArray, IntArray


class KeywordJudge:
    """Tells which of the keywords a sentence was written for, from its words and pairs of words.

    Args:
        sentences: of the corpus.
        keyword: of each.
    """

    def __init__(self, sentences: Sequence[str], keyword: IntArray) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.naive_bayes import ComplementNB
        from sklearn.pipeline import make_pipeline

        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"[a-z'-]+")
        self._pipeline: Any = make_pipeline(words, ComplementNB(alpha=0.1))
        self._pipeline.fit(sentences, keyword)

    def expresses(self, sentences: Sequence[str], keyword: IntArray) -> BoolArray:
        """(n,) whether each sentence would be taken for one with its keyword, of all keywords."""
        return np.asarray(self._pipeline.predict(sentences) == keyword)
