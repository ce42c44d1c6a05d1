"""The files that OfflinePrompts published, read as they are."""
