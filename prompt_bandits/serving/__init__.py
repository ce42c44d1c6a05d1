"""Serving prompts to live users, and logging what comes of it."""

from prompt_bandits.serving.logger import BanditLogger, Served

__all__ = ["BanditLogger", "Served"]
