"""Our environments, data and policies in other people's libraries. Each module wants its library installed."""
