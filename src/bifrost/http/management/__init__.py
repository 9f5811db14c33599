"""The management API: a blueprint for each family of nouns, on top of ``desk``."""
