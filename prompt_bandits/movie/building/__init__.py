"""How the shipped assets are made: facts, a corpus, a small language model, simulated users, a card."""
