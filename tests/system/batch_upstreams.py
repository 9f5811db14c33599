"""Upstreams that keep files and batches, as strict as the real ones: each key has an account of its own."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import attrs

from system.anthropic_rules import complaint as claude_complaint
from system.gemini_upstream import answer as gemini_answer
from system.gemini_upstream import complaint as gemini_complaint
from system.upstream import Behaviour, Received, Upstream, raw, status

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Account",
    "AnthropicBatches",
    "GeminiBatches",
    "Keeping",
    "Refused",
    "parts_of",
    "query_of",
]

FILES_BETA = "files-api-2025-04-14"
MADE = "2026-11-27T12:00:00Z"
ENDED = "2026-11-27T13:00:00.123456Z"

Account = dict[str, dict[str, Any]]


class Refused(Exception):
    """What the upstream will not do: a status and a body."""


def parts_of(received: Received) -> list[tuple[str, bytes]]:
    """Head and content of each part of a multipart body."""
    boundary = received.header("content-type").partition("boundary=")[2].strip('"')  # type: ignore[union-attr]  # None would fail it as well
    pieces = received.body.split(b"--" + boundary.encode())
    if not pieces[-1].startswith(b"--"):
        raise Refused(400, "the body has no end")
    found = [piece.removeprefix(b"\r\n").partition(b"\r\n\r\n") for piece in pieces[1:-1]]
    return [(head.decode(), content.removesuffix(b"\r\n")) for head, _, content in found]


def query_of(received: Received, *known: str) -> dict[str, str]:
    told = parse_qs(urlsplit(received.path).query, strict_parsing=False)
    if set(told) - set(known):
        raise Refused(400, f"unknown parameters: {sorted(set(told) - set(known))}")
    return {name: values[0] for name, values in told.items()}


@attrs.define(eq=False)
class Keeping(Upstream):
    """Serves what its routes say. ``finish`` lets all batches come to their end."""

    accounts: dict[str, Account] = attrs.field(factory=lambda: defaultdict(dict))
    count: int = 0
    extra: dict[str, Behaviour] = attrs.field(factory=dict)
    """What else is there, by its path."""
    uploads: dict[str, tuple[str, dict[str, Any], int, bytearray]] = attrs.field(factory=dict)
    """By their names: key, metadata, size, and what has come."""
    piece_bytes: int = 0
    """If not 0, results are written in pieces of so many bytes."""
    cuts: bool = False
    """Whether results break off at their end."""

    def _next(self, received: Received) -> Behaviour:
        try:
            return self._served(received)
        except Refused as refused:
            return self._told(*refused.args)

    def _served(self, received: Received) -> Behaviour:
        path = urlsplit(received.path).path
        if path in self.extra:
            return self.extra[path]
        for method, pattern, serve in self.routes():
            found = re.fullmatch(pattern, path)
            if method == received.method and found is not None:
                return serve(received, *found.groups())
        raise Refused(404, f"no such route: {received.method} {path}")

    def routes(self) -> list[tuple[str, str, Callable[..., Behaviour]]]:
        raise NotImplementedError

    def _told(self, code: int, text: str) -> Behaviour:
        raise NotImplementedError

    def _account(self, received: Received) -> Account:
        raise NotImplementedError

    def _found(self, received: Received, name: str) -> dict[str, Any]:
        found = self._account(received).get(name)
        if found is None:
            raise Refused(404, f"{name} not found")
        return found

    @staticmethod
    def _shown(value: dict[str, Any]) -> dict[str, Any]:
        return {name: item for name, item in value.items() if not name.startswith("_")}

    def _lines(self, lines: list[dict[str, Any]], kind: str) -> Behaviour:
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        if self.cuts:
            told = f"content-type: {kind}\r\ncontent-length: {len(body) + 1}\r\n\r\n"
            return raw(f"HTTP/1.1 200 X\r\n{told}".encode(), body)
        if not self.piece_bytes:
            return status(200, body, {"content-type": kind})
        head = f"HTTP/1.1 200 X\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n".encode()
        size = self.piece_bytes
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        return raw(head, *pieces)


class AnthropicBatches(Keeping):
    """Message Batches and the Files API. The custom ids ``bad``, ``late`` and ``stopped`` have no message."""

    def routes(self) -> list[tuple[str, str, Callable[..., Behaviour]]]:
        return [
            ("POST", "/v1/messages/batches", self.create),
            ("GET", "/v1/messages/batches", self.batches),
            ("GET", "/v1/messages/batches/([^/]+)", self.batch),
            ("DELETE", "/v1/messages/batches/([^/]+)", self.delete_batch),
            ("POST", "/v1/messages/batches/([^/]+)/cancel", self.cancel),
            ("GET", "/v1/messages/batches/([^/]+)/results", self.results),
            ("POST", "/v1/files", self.upload),
            ("GET", "/v1/files", self.files),
            ("GET", "/v1/files/([^/]+)", self.file),
            ("DELETE", "/v1/files/([^/]+)", self.delete),
            ("GET", "/v1/files/([^/]+)/content", self.content),
        ]

    def _told(self, code: int, text: str) -> Behaviour:
        kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}
        return status(code, {"type": "error", "error": {"type": kinds[code], "message": text}})

    def _account(self, received: Received) -> Account:
        key = received.header("x-api-key")
        if received.header("anthropic-version") != "2023-06-01" or not key:
            raise Refused(401, "invalid x-api-key")
        wants_files = urlsplit(received.path).path.startswith("/v1/files")
        if wants_files and FILES_BETA not in (received.header("anthropic-beta") or ""):
            raise Refused(404, "Not found")
        return self.accounts[key]

    def create(self, received: Received) -> Behaviour:
        account, body = self._account(received), received.json
        if set(body) != {"requests"} or not body["requests"]:
            raise Refused(400, "requests: Field required")
        names = [item.get("custom_id") for item in body["requests"]]
        if len(set(names)) < len(names):
            raise Refused(400, "custom_id must be unique")
        for item in body["requests"]:
            wrong = set(item) != {"custom_id", "params"} or claude_complaint(item["params"])
            if wrong or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", item["custom_id"]):
                raise Refused(400, f"requests: {wrong}")
        self.count += 1
        name = f"msgbatch_{self.count:02}"
        account[name] = {
            "id": name,
            "type": "message_batch",
            "processing_status": "in_progress",
            "request_counts": dict.fromkeys(("succeeded", "errored", "canceled", "expired"), 0)
            | {"processing": len(names)},
            "ended_at": None,
            "created_at": MADE,
            "expires_at": "2026-11-28T12:00:00Z",
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": None,
            "_requests": body["requests"],
        }
        return status(200, self._shown(account[name]))

    def finish(self) -> None:
        for account in self.accounts.values():
            for name, batch in account.items():
                if batch["type"] == "message_batch":
                    batch |= {
                        "processing_status": "ended",
                        "ended_at": ENDED,
                        "results_url": f"https://api.anthropic.com/v1/messages/batches/{name}/results",
                        "request_counts": {
                            "processing": 0,
                            "succeeded": 1,
                            "errored": 1,
                            "canceled": 1,
                            "expired": 1,
                        },
                    }

    def _page(self, received: Received, kind: str) -> Behaviour:
        query = query_of(received, "after_id", "before_id", "limit", "page", "ids", "beta")
        limit = int(query.get("limit", "20"))
        if not 1 <= limit <= (100 if kind == "message_batch" else 1000):
            raise Refused(400, "limit: out of range")
        items = [item for item in self._account(received).values() if item["type"] == kind]
        items.reverse()
        names = [item["id"] for item in items]
        if "page" in query:
            query["after_id"] = query["page"].removeprefix("page_")
        if "after_id" in query and query["after_id"] not in names:
            raise Refused(400, "after_id: unknown")
        begin = names.index(query["after_id"]) + 1 if "after_id" in query else 0
        end = begin + limit
        more = end < len(items)
        if "before_id" in query:
            end = names.index(query["before_id"])
            begin = max(0, end - limit)
            more = begin > 0
        page = items[begin:end]
        paged = (
            {}
            if kind == "message_batch"
            else {"next_page": f"page_{page[-1]['id']}" if more else None}
        )
        return status(
            200,
            {
                "data": [self._shown(item) for item in page],
                "has_more": more,
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
                **paged,
            },
        )

    def batches(self, received: Received) -> Behaviour:
        return self._page(received, "message_batch")

    def batch(self, received: Received, name: str) -> Behaviour:
        return status(200, self._shown(self._found(received, name)))

    def cancel(self, received: Received, name: str) -> Behaviour:
        found = self._found(received, name)
        found |= {"processing_status": "canceling", "cancel_initiated_at": ENDED}
        return status(200, self._shown(found))

    def delete_batch(self, received: Received, name: str) -> Behaviour:
        if self._found(received, name)["processing_status"] != "ended":
            raise Refused(400, "cancel it first")
        del self._account(received)[name]
        return status(200, {"id": name, "type": "message_batch_deleted"})

    def results(self, received: Received, name: str) -> Behaviour:
        found = self._found(received, name)
        if found["processing_status"] != "ended":
            raise Refused(404, "results are not available yet")
        lines = [
            {"custom_id": item["custom_id"], "result": self._result(item)}
            for item in reversed(found["_requests"])
        ]
        return self._lines(lines, "application/x-jsonl")

    @staticmethod
    def _result(item: dict[str, Any]) -> dict[str, Any]:
        match item["custom_id"]:
            case "bad":
                error = {"type": "invalid_request_error", "message": "max_tokens is too large"}
                return {"type": "errored", "error": {"type": "error", "error": error}}
            case "late":
                return {"type": "expired"}
            case "stopped":
                return {"type": "canceled"}
            case name:
                message = {
                    "id": f"msg_{name}",
                    "type": "message",
                    "role": "assistant",
                    "model": item["params"]["model"],
                    "content": [{"type": "text", "text": f"Grüße, {name} 🦀"}],
                    "stop_reason": "end_turn",
                    "stop_sequence": None,
                    "usage": {"input_tokens": 11, "output_tokens": 5},
                }
                return {"type": "succeeded", "message": message}

    def upload(self, received: Received) -> Behaviour:
        account = self._account(received)
        parts = {
            head.partition('name="')[2].partition('"')[0]: (head, content)
            for head, content in parts_of(received)
        }
        head, content = parts.pop("file", ("", b""))
        named = re.search(r'name="file"; filename="([^"]*)"', head)
        if named is None or set(parts) - {"expires_in_seconds"}:
            raise Refused(400, "file: Field required")
        self.count += 1
        name = f"file_{self.count:02}"
        account[name] = {
            "id": name,
            "type": "file",
            "filename": named[1],
            "mime_type": "text/plain",
            "size_bytes": len(content),
            "created_at": MADE,
            "downloadable": True,
            "_content": content,
        }
        return status(200, self._shown(account[name]))

    def files(self, received: Received) -> Behaviour:
        return self._page(received, "file")

    def file(self, received: Received, name: str) -> Behaviour:
        return status(200, self._shown(self._found(received, name)))

    def delete(self, received: Received, name: str) -> Behaviour:
        self._found(received, name)
        del self._account(received)[name]
        return status(200, {"id": name, "type": "file_deleted"})

    def content(self, received: Received, name: str) -> Behaviour:
        return status(200, self._found(received, name)["_content"], {"content-type": "text/plain"})


class GeminiBatches(Keeping):
    """Files and batches of Gemini's API. The keys ``bad`` and ``denied`` end in errors."""

    def routes(self) -> list[tuple[str, str, Callable[..., Behaviour]]]:
        return [
            ("POST", "/upload/v1(?:beta)?/files", self.upload),
            ("GET", "/v1(?:beta)?/files", self.files),
            ("GET", "(?:/download)?/v1(?:beta)?/(files/[^/]+):download", self.download),
            ("GET", "/v1(?:beta)?/(files/[^/]+)", self.one),
            ("DELETE", "/v1(?:beta)?/(files/[^/]+)", self.delete),
            ("POST", "/v1beta/models/([^/:]+):batchGenerateContent", self.create),
            ("GET", "/v1beta/batches", self.batches),
            ("GET", "/v1beta/(batches/[^/:]+)", self.one),
            ("POST", "/v1beta/(batches/[^/:]+):cancel", self.cancel),
        ]

    def _told(self, code: int, text: str) -> Behaviour:
        kind = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}[code]
        return status(code, {"error": {"code": code, "message": text, "status": kind}})

    def _account(self, received: Received) -> Account:
        key = received.header("x-goog-api-key")
        if not key:
            raise Refused(403, "no API key")
        return self.accounts[key]

    def _found(self, received: Received, name: str) -> dict[str, Any]:
        found = self._account(received).get(name)
        if found is None:
            raise Refused(403, f"You may not see {name}, or it is not there")
        return found

    def upload(self, received: Received) -> Behaviour:
        if "upload_id=" in received.path:
            return self.go_on(received)
        account = self._account(received)
        kind = received.header("content-type") or ""
        if received.header("x-goog-upload-command") == "start":
            return self.start(received)
        if query_of(received, "uploadType") != {"uploadType": "multipart"}:
            raise Refused(400, "uploadType")
        if not kind.startswith("multipart/related; boundary="):
            raise Refused(400, f"not multipart/related: {kind}")
        (about, metadata), (typed, content) = parts_of(received)
        if "application/json" not in about:
            raise Refused(400, "no metadata")
        told = json.loads(metadata)["file"]
        if typed.partition(": ")[2] != told["mimeType"]:
            raise Refused(400, "two types for one file")
        return status(200, {"file": self._shown(self._kept(account, told, content))})

    def start(self, received: Received) -> Behaviour:
        """An upload of several requests is told where to go on."""
        key = received.header("x-goog-api-key") or ""
        said = json.loads(received.body or b"{}").get("file", {})
        told = {"displayName": said.get("display_name")}
        told["mimeType"] = received.header("x-goog-upload-header-content-type")
        size = received.header("x-goog-upload-header-content-length") or ""
        if received.header("x-goog-upload-protocol") != "resumable" or not size.isdigit():
            raise Refused(400, "not a resumable upload")
        self.count += 1
        name = f"upstream-upload-{self.count}"
        self.uploads[name] = (key, told, int(size), bytearray())
        url = f"{self.url}/upload/v1beta/files?upload_id={name}&upload_protocol=resumable&key={key}"
        return status(200, b"", self._upload_lines(name, "active", url))

    @staticmethod
    def _upload_lines(name: str, state: str, url: str) -> dict[str, str]:
        return {
            "content-type": "text/plain; charset=utf-8",
            "x-goog-upload-status": state,
            "x-goog-upload-url": url,
            "x-goog-upload-control-url": url,
            "x-guploader-uploadid": name,
        }

    def go_on(self, received: Received) -> Behaviour:
        """A part of it: only with the key that it was begun with."""
        query = query_of(received, "upload_id", "upload_protocol")
        name = query["upload_id"]
        key, told, size, content = self.uploads.get(name, ("", {}, 0, bytearray()))
        if not key or received.header("x-goog-api-key") != key:
            raise Refused(403, "this upload belongs to somebody else")
        if int(received.header("x-goog-upload-offset") or "0") != len(content):
            raise Refused(400, "wrong offset")
        content += received.body
        if "finalize" not in (received.header("x-goog-upload-command") or ""):
            return status(200, b"", self._upload_lines(name, "active", f"{self.url}/elsewhere"))
        if len(content) != size:
            raise Refused(400, f"{len(content)} bytes came of {size}")
        kept = self._kept(self.accounts[key], told, bytes(content))
        lines = self._upload_lines(name, "final", f"{self.url}/elsewhere")
        body = json.dumps({"file": self._shown(kept)}).encode()
        return status(200, body, lines | {"content-type": "application/json"})

    def _kept(self, account: Account, told: dict[str, Any], content: bytes) -> dict[str, Any]:
        self.count += 1
        name = f"files/f{self.count}-x"
        account[name] = {
            "name": name,
            "displayName": told.get("displayName"),
            "mimeType": told["mimeType"],
            "sizeBytes": str(len(content)),
            "createTime": MADE,
            "updateTime": MADE,
            "expirationTime": "2026-11-29T12:00:00Z",
            "uri": f"https://generativelanguage.googleapis.com/v1beta/{name}",
            "state": "ACTIVE",
            "source": told.get("source", "UPLOADED"),
            "_content": content,
        }
        return account[name]

    def _page(self, received: Received, family: str, member: str) -> Behaviour:
        query = query_of(received, "pageSize", "pageToken")
        size = int(query.get("pageSize", "10"))
        token = query.get("pageToken", "tok:0")
        if not 1 <= size <= 100 or not token.startswith("tok:"):
            raise Refused(400, "page_token is invalid")
        begin = int(token[4:])
        found = self._account(received).items()
        items = [self._shown(item) for name, item in found if name.startswith(family)]
        more = {"nextPageToken": f"tok:{begin + size}"} if begin + size < len(items) else {}
        page = items[begin : begin + size]
        return status(200, {**({member: page} if page else {}), **more})

    def files(self, received: Received) -> Behaviour:
        return self._page(received, "files/", "files")

    def batches(self, received: Received) -> Behaviour:
        return self._page(received, "batches/", "operations")

    def one(self, received: Received, name: str) -> Behaviour:
        return status(200, self._shown(self._found(received, name)))

    def delete(self, received: Received, name: str) -> Behaviour:
        self._found(received, name)
        del self._account(received)[name]
        return status(200, {})

    def download(self, received: Received, name: str) -> Behaviour:
        if query_of(received, "alt") != {"alt": "media"}:
            raise Refused(400, "alt")
        found = self._found(received, name)
        if found["source"] != "GENERATED":
            raise Refused(400, "only generated files can be downloaded")
        lines = [json.loads(line) for line in found["_content"].splitlines()]
        return self._lines(lines, "application/octet-stream")

    def create(self, received: Received, model: str) -> Behaviour:
        account, body = self._account(received), received.json
        if set(body) != {"batch"} or set(body["batch"]) != {"displayName", "inputConfig"}:
            raise Refused(400, "unknown members")
        given = body["batch"]["inputConfig"]
        if set(given) == {"fileName"}:
            content = self._found(received, given["fileName"])["_content"]
            asked = [json.loads(line) for line in content.splitlines()]
            requests = [{"request": a["request"], "metadata": {"key": a["key"]}} for a in asked]
        else:
            requests = given["requests"]["requests"]
        for item in requests:
            wrong = set(item) != {"request", "metadata"} or gemini_complaint(item["request"], model)
            if wrong:
                raise Refused(400, f"requests: {wrong}")
        self.count += 1
        name = f"batches/b{self.count}"
        account[name] = {
            "name": name,
            "metadata": {
                "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
                "name": name,
                "model": f"models/{model}",
                "displayName": body["batch"]["displayName"],
                "createTime": MADE,
                "updateTime": MADE,
                "batchStats": {
                    "requestCount": str(len(requests)),
                    "pendingRequestCount": str(len(requests)),
                },
                "state": "BATCH_STATE_PENDING",
                **({"inputConfig": given} if "fileName" in given else {}),
            },
            "_requests": requests,
        }
        return status(200, self._shown(account[name]))

    def cancel(self, received: Received, name: str) -> Behaviour:
        self._found(received, name)["metadata"]["state"] = "BATCH_STATE_CANCELLED"
        return status(200, {})

    def finish(self) -> None:
        for account in self.accounts.values():
            for name, batch in list(account.items()):
                if name.startswith("batches/"):
                    self._end(account, batch)

    def _end(self, account: Account, batch: dict[str, Any]) -> None:
        results = [(item["metadata"]["key"], self._result(item)) for item in batch["_requests"]]
        failed = sum("error" in result for _, result in results)
        about = batch["metadata"]
        about |= {"state": "BATCH_STATE_SUCCEEDED", "endTime": ENDED}
        about["batchStats"] = {
            "requestCount": str(len(results)),
            "successfulRequestCount": str(len(results) - failed),
            "failedRequestCount": str(failed),
        }
        batch["done"] = True
        if "inputConfig" in about:
            lines = [json.dumps({"key": key, **result}).encode() for key, result in results]
            told = {"mimeType": "application/jsonl", "source": "GENERATED"}
            kept = self._kept(account, told, b"\n".join(lines))
            batch["response"] = {"responsesFile": kept["name"]}
        else:
            told_inline = [{"metadata": {"key": key}, **result} for key, result in results]
            batch["response"] = {"inlinedResponses": {"inlinedResponses": told_inline}}

    @staticmethod
    def _result(item: dict[str, Any]) -> dict[str, Any]:
        key = item["metadata"]["key"]
        if key == "bad":
            return {"error": {"code": 3, "message": "contents is not specified"}}
        if key == "denied":
            return {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}
        return {"response": gemini_answer({"text": f"Grüße, {key} 🦀"})}
