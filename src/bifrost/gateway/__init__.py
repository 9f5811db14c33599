"""The composition root, a room a concern. Nobody but ``cli`` imports it, and in it nobody imports whoever composes him.

- ``starting``: the process; log writer, file and store read, one gateway run; the exit status
- ``root``: ``Gateway``; builds every part, opens the nurseries in order
- ``calls``: what every call goes through; filters, router, what counts and lists beside it
- ``front_end``: the doors and every route, and the server before them
- ``reload``: the configuration read again, by SIGHUP and when its store is back
- ``in_force``: the configuration that is gone by, and who has to follow another one
- ``drain``: signals, and the end of what runs
- ``pools``: each provider's key pool and its tokens; start, replace, drain, end
- ``lists``: what is asked of several keys and told as one
- ``scrape``: what is gathered for ``/metrics``
- ``log_store``: the file of asynchronous jobs, and their room
- ``kept``: the configuration's store, put together with the file at a start
- ``prices``: the calendar, and the operator's price list
- ``notes``: what the log is told of all this
"""

from __future__ import annotations

from bifrost.explain import explain
from bifrost.gateway.root import Gateway
from bifrost.gateway.starting import serve

__all__ = ["Gateway", "explain", "serve"]
