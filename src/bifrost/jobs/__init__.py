"""Asynchronous jobs: a nursery that holds the wish for a call whose caller has gone home. Knows no HTTP server."""
