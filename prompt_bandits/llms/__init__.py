"""Frozen LLMs that write text: local models, servers, a bank of written sentences, and a cache before any of them."""
