"""MovieLens folders: read, filtered, described by a language model, and made into assets."""
