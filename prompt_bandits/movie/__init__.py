"""`MovieDescription-v0`: real text, a frozen LLM, a learned user."""

from prompt_bandits.movie.config import MovieConfig
from prompt_bandits.movie.contexts import MovieContexts
from prompt_bandits.movie.parts import movie_simulator
from prompt_bandits.movie.tables import MovieTables

__all__ = ["MovieConfig", "MovieContexts", "MovieTables", "movie_simulator"]
