"""The `prompt-bandits` command."""
