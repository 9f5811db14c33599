"""Persistence: protocols in ``base``, SQLite behind them. The only room that starts threads for a database."""
