"""How good estimators are, where the truth is known."""

from .judge import judge_estimators
from .judgement import Choices, Errors, Judgement
from .trials import Trial

__all__ = ["Choices", "Errors", "Judgement", "Trial", "judge_estimators"]
