"""An upstream that keeps files and batches as OpenAI does, as strict as the real one: each key has an account of its own."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import trio

from system.batch_upstreams import Account, Keeping, Refused, parts_of, query_of
from system.upstream import Behaviour, Received, chat_answer, status

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OpenAIBatches"]

MADE = 1795780800
DONE = 1795784400

BATCH_MEMBERS = {"input_file_id", "endpoint", "completion_window", "metadata"}
LINE_MEMBERS = {"custom_id", "method", "url", "body"}
PURPOSES = {"batch", "user_data", "assistants"}


class OpenAIBatches(Keeping):
    """Files and batches. The custom id ``bad`` is answered with an error, ``late`` is never run.

    ``refusal`` is told to whoever creates a batch, if it is set; ``keeps_files`` refuses to delete any.
    """

    refusal: tuple[int, str] | None = None
    keeps_files: bool = False
    pause_s: float = 0.0
    """Before each answer."""

    def _next(self, received: Received) -> Behaviour:
        answer = super()._next(received)

        async def later(conn: trio.SocketStream, received: Received) -> None:
            await trio.sleep(self.pause_s)
            await answer(conn, received)

        return later

    def routes(self) -> list[tuple[str, str, Callable[..., Behaviour]]]:
        return [
            ("POST", "/v1/files", self.upload),
            ("GET", "/v1/files", self.files),
            ("GET", "/v1/files/([^/]+)", self.one),
            ("DELETE", "/v1/files/([^/]+)", self.delete),
            ("GET", "/v1/files/([^/]+)/content", self.content),
            ("POST", "/v1/batches", self.create),
            ("GET", "/v1/batches", self.batches),
            ("GET", "/v1/batches/([^/]+)", self.one),
            ("POST", "/v1/batches/([^/]+)/cancel", self.cancel),
        ]

    def _told(self, code: int, text: str) -> Behaviour:
        error = {"message": text, "type": "invalid_request_error", "param": None, "code": None}
        return status(code, {"error": error})

    def _account(self, received: Received) -> Account:
        key = received.header("authorization")
        if not key or received.header("anthropic-version") or received.header("anthropic-beta"):
            raise Refused(401, "Incorrect API key provided")
        return self.accounts[key]

    def _kept(self, account: Account, name: str, purpose: str, content: bytes) -> dict[str, Any]:
        self.count += 1
        file: dict[str, Any] = {
            "id": f"file-{self.count:02}",
            "object": "file",
            "bytes": len(content),
            "created_at": MADE,
            "filename": name,
            "purpose": purpose,
            "status": "processed",
            "_content": content,
        }
        account[file["id"]] = file
        return file

    def upload(self, received: Received) -> Behaviour:
        account = self._account(received)
        fields: dict[str, str] = {}
        named, file = "", b""
        for head, content in parts_of(received):
            found = re.search(r'name="([^"]*)"(?:; filename="([^"]*)")?', head)
            assert found is not None
            if found[2] is None:
                fields[found[1]] = content.decode()
            else:
                named, file = found[2], content
        known = {"purpose", "expires_after[anchor]", "expires_after[seconds]"}
        if not named or fields.get("purpose") not in PURPOSES or set(fields) - known:
            raise Refused(400, f"what is this upload? {fields}")
        kept = self._kept(account, named, fields["purpose"], file)
        if "expires_after[seconds]" in fields:
            kept["expires_at"] = MADE + int(fields["expires_after[seconds]"])
        return status(200, self._shown(kept))

    def _page(self, received: Received, kind: str) -> Behaviour:
        query = query_of(received, "after", "limit", "order", "purpose")
        items = [i for i in self._account(received).values() if i["object"] == kind]
        items.reverse()
        names = [item["id"] for item in items]
        begin = names.index(query["after"]) + 1 if query.get("after") in names else 0
        page = items[begin : begin + int(query.get("limit", "20"))]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
        more = begin + len(page) < len(items)
        data = [self._shown(item) for item in page]
        return status(200, {"object": "list", "data": data, "has_more": more, **ends})

    def files(self, received: Received) -> Behaviour:
        return self._page(received, "file")

    def batches(self, received: Received) -> Behaviour:
        return self._page(received, "batch")

    def one(self, received: Received, name: str) -> Behaviour:
        return status(200, self._shown(self._found(received, name)))

    def delete(self, received: Received, name: str) -> Behaviour:
        self._found(received, name)
        if self.keeps_files:
            raise Refused(409, "the file is in use")
        del self._account(received)[name]
        return status(200, {"id": name, "object": "file", "deleted": True})

    def content(self, received: Received, name: str) -> Behaviour:
        kept = self._found(received, name)["_content"]
        return status(200, kept, {"content-type": "application/octet-stream"})

    def create(self, received: Received) -> Behaviour:
        account, body = self._account(received), received.json
        if self.refusal is not None:
            raise Refused(*self.refusal)
        if set(body) - BATCH_MEMBERS or body.get("completion_window") != "24h":
            raise Refused(400, f"unknown members: {sorted(set(body) - BATCH_MEMBERS)}")
        file = self._found(received, body["input_file_id"])
        if file["purpose"] != "batch":
            raise Refused(400, "the input file is for something else")
        asked = [json.loads(line) for line in file["_content"].splitlines()]
        for line in asked:
            if set(line) != LINE_MEMBERS or line["url"] != body["endpoint"]:
                raise Refused(400, f"this line is none: {line}")
        if len({line["body"]["model"] for line in asked}) != 1:
            raise Refused(400, "one model a batch")
        self.count += 1
        batch = {
            "id": f"batch_{self.count:02}",
            "object": "batch",
            "endpoint": body["endpoint"],
            "input_file_id": body["input_file_id"],
            "completion_window": "24h",
            "status": "validating",
            "created_at": MADE,
            "expires_at": MADE + 86400,
            "request_counts": {"total": len(asked), "completed": 0, "failed": 0},
            "metadata": body.get("metadata"),
            "_requests": asked,
        }
        account[batch["id"]] = batch
        return status(200, self._shown(batch))

    def cancel(self, received: Received, name: str) -> Behaviour:
        found = self._found(received, name)
        found |= {"status": "cancelling", "cancelling_at": DONE}
        return status(200, self._shown(found))

    def finish(self) -> None:
        for account in self.accounts.values():
            for batch in [i for i in account.values() if i["object"] == "batch"]:
                self._end(account, batch)

    def _end(self, account: Account, batch: dict[str, Any]) -> None:
        good: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for line in batch["_requests"]:
            (bad if line["custom_id"] in {"bad", "late"} else good).append(_result(line))
        batch |= {
            "status": "completed",
            "completed_at": DONE,
            "request_counts": {
                "total": len(good) + len(bad),
                "completed": len(good),
                "failed": len(bad),
            },
        }
        for member, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                text = "\n".join(map(json.dumps, lines)).encode()
                batch[member] = self._kept(account, "out.jsonl", "batch", text)["id"]


def _result(line: dict[str, Any]) -> dict[str, Any]:
    told = {"id": "batch_req_1", "custom_id": line["custom_id"], "response": None, "error": None}
    if line["custom_id"] == "late":
        return told | {"error": {"code": "batch_expired", "message": "too late"}}
    if line["custom_id"] == "bad":
        body: Any = {"error": {"message": "no such thing", "type": "invalid_request_error"}}
        return told | {"response": {"status_code": 404, "request_id": "r", "body": body}}
    body = chat_answer(f"I am {line['custom_id']} 🦀") | {"model": line["body"]["model"]}
    return told | {"response": {"status_code": 200, "request_id": "r", "body": body}}
