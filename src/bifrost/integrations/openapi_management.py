"""Bodies of the management API as its description has them: what has to be there; the rest is the configuration's own shape."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.integrations.openapi_parts import FLAG, OBJECT, SAID, TEXT, WHOLE, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MANAGEMENT_SCHEMAS"]

LIST: Schema = {"type": "array", "items": OBJECT}


def _object(needed: Mapping[str, Schema], **known: Schema) -> Schema:
    return {"type": "object", "required": list(needed), "properties": {**needed, **known}}


CHANGE: Schema = {
    "type": "object",
    "description": "What is to be otherwise: what is not named stays, null takes away, a list is the whole new list.",
}

MANAGEMENT_SCHEMAS: Mapping[str, Schema] = MappingProxyType(
    {
        "management_change": CHANGE,
        "management_provider": _object({"provider": SAID}, keys=LIST),
        "management_key": _object({"name": SAID}, id=TEXT, enabled=FLAG),
        "management_config": {
            **CHANGE,
            "properties": dict.fromkeys(
                ("client_config", "framework_config", "auth_config"), OBJECT
            ),
        },
        "management_plugin": _object({"name": SAID}, enabled=FLAG, config=OBJECT, path=SAID),
        "management_login": _object({"username": TEXT, "password": TEXT}),
        "management_text": TEXT,
        "management_message": _object({"message": TEXT}),
        "management_providers": _object({"providers": LIST, "total": WHOLE}),
        "management_keys": _object({"keys": LIST, "total": WHOLE}),
        "management_models": _object({"models": {"type": "array"}, "total": WHOLE}),
        "management_session": _object({"is_auth_enabled": FLAG, "has_valid_token": FLAG}),
    }
)
