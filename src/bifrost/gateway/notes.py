"""What the log is told of the house's own life: defects, crashes, stores that come and go. Never to a caller, never values."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import attrs

from bifrost.observe.lines import call_level, call_line, models_line
from bifrost.observe.logs import Logs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.actors.discovery import KeyModels
    from bifrost.errors import GatewayError
    from bifrost.record import CallRecord
    from bifrost.schema.call import Call
    from bifrost.store.base import StoreError

__all__ = ["Notes"]


@attrs.frozen(eq=False)
class Notes:
    """A method for each event. They write a line and never wait; exceptions are told without their values."""

    logs: Logs

    # Defects

    def defect(self, error: BaseException, call: Call) -> None:
        self.logs.error("defect", request_id=call.id, reason=_defect(error))

    def job_defect(self, error: Exception, request_id: str) -> None:
        self.logs.error("defect", request_id=request_id, reason=_defect(error))

    def front_defect(self, error: BaseException) -> None:
        self.logs.error("defect", reason=_defect(error))

    # Actors that crash

    def pool_crashed(self, name: str, error: Exception, crashes: int) -> None:
        self.logs.error("key pool crashed", provider=name, crashes=crashes, reason=_defect(error))

    def tokens_crashed(self, name: str, error: Exception, crashes: int) -> None:
        self.logs.error("tokens crashed", provider=name, crashes=crashes, reason=_defect(error))

    def actor_crashed(self, name: str, error: Exception, crashes: int) -> None:
        self.logs.error("actor crashed", actor=name, crashes=crashes, reason=_defect(error))

    # What could not be had

    def not_served(self, provider: str, reason: str) -> None:
        self.logs.warning("provider not served", provider=provider, reason=reason)

    def not_changed(self, provider: str, reason: str) -> None:
        self.logs.warning("provider not changed", provider=provider, reason=reason)

    def no_token(self, name: str, error: GatewayError, wait_s: float) -> None:
        reason = ": ".join(filter(None, (error.message, error.cause)))
        self.logs.warning(
            "token not fetched", provider=name, reason=reason, retry_s=round(wait_s, 1)
        )

    def unlisted(self, call: Call, failed: tuple[KeyModels, ...]) -> None:
        self.logs.line("warning", "models not listed", models_line(call.id, failed))

    def no_plugin(self, name: str, reason: str) -> None:
        self.logs.error("plugin not loaded", plugin=name, reason=reason)

    def no_prices(self, reason: str) -> None:
        self.logs.warning("price list not fetched", reason=reason)

    def routing(self, warning: str) -> None:
        self.logs.warning("routing", reason=warning)

    # Stores

    def store_turned(self, name: str, trouble: StoreError | None) -> None:
        """It is away, for that reason; or back."""
        if trouble is None:
            self.logs.info("store is back", store=name)
        else:
            self.logs.warning("store is away", store=name, reason=str(trouble))

    def job_lost(self, job_id: str) -> None:
        self.logs.error("job not written", job_id=job_id)

    # The configuration

    def configuration(self, notices: Iterable[str]) -> None:
        for notice in notices:
            self.logs.warning("configuration", notice=notice)

    def not_reloaded(self, reason: str) -> None:
        self.logs.error("configuration not reloaded", reason=reason)

    # Calls and other requests

    def call(self, record: CallRecord) -> None:
        level = call_level(record)
        if self.logs.is_on(level):
            self.logs.line(level, "request completed", call_line(record))

    def request(self, level: str, fields: dict[str, object]) -> None:
        self.logs.line(level, "request completed", fields)


def _defect(error: BaseException) -> str:
    """What and where, without values: a traceback's last frames, and the exception's class."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(
        f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames)
    )
    return f"{type(error).__name__} in {where}"
