"""The filter that feeds the readers of records. It stands outermost, so it sees every exchange, however it ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import attrs

from bifrost.errors import GatewayError
from bifrost.record import CallRecord
from bifrost.service import Exchange
from bifrost.values import frozen

if TYPE_CHECKING:
    from types import TracebackType

    from bifrost.schema.call import Call
    from bifrost.service import Service

__all__ = ["Observer"]


@frozen(kw_only=True)
class Observer:
    """An exchange filter. ``readers`` get each record once it is complete; ``on_shed`` hears of calls refused at the door.

    A reader that raises harms neither the call nor the other readers: ``on_defect`` is told.
    """

    readers: tuple[Callable[[CallRecord], None], ...]
    on_shed: Callable[[str], None]
    on_defect: Callable[[BaseException], None]

    def around(self, inner: Service) -> Service:
        """``inner``, observed."""

        def observed(call: Call) -> AbstractAsyncContextManager[Exchange]:
            return _Observed(self, inner(call))

        return observed

    def read(self, record: CallRecord) -> None:
        """Show ``record`` to every reader."""
        for reader in self.readers:
            try:
                reader(record)
            except Exception as defect:  # noqa: BLE001  the root of a reader, which must not break a call
                self.on_defect(defect)


@attrs.define(eq=False)
class _Observed:
    """One exchange under observation."""

    _observer: Observer
    _inner: AbstractAsyncContextManager[Exchange]
    _exchange: Exchange | None = None

    async def __aenter__(self) -> Exchange:
        try:
            self._exchange = await self._inner.__aenter__()
        except GatewayError as error:
            self._observer.on_shed(error.code or error.error_class.value)
            raise
        return self._exchange

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        try:
            return await self._inner.__aexit__(kind, error, trace)  # noqa: ASYNC102  the inner one ends here
        finally:
            if self._exchange is not None:
                self._observer.read(self._exchange.record)
