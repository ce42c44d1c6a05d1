"""What turns texts into features: pretrained models, and networks on top of them."""

from prompt_bandits.movie.encoders.hidden_states import HiddenStates
from prompt_bandits.movie.encoders.pretrained import LLMStateEncoder, SentenceTransformerEncoder, load_encoder

__all__ = ["HiddenStates", "LLMStateEncoder", "SentenceTransformerEncoder", "load_encoder"]
