"""What certain texts must look like, and the words for it in an error."""

from __future__ import annotations

import re

from bifrost.config.rules import Text

__all__ = [
    "ADDRESS",
    "DURATION",
    "HEADER_NAME",
    "HEADER_PATTERN",
    "HEADER_VALUE",
    "LABEL_NAME",
    "MCP_NAME",
    "NAME",
    "ORIGIN",
    "PEM",
    "PROVIDER_NAME",
    "PROXY_ADDRESS",
    "ROUTE",
]

LETTER = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"  # RFC 9110, section 5.6.2
PORT = r"(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
HOST = rf"(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:*\[\]]+)(:{PORT})?"

NAME = Text(re.compile(r"\S(.*\S)?"), "a text, not blank, on one line")
PROVIDER_NAME = Text(
    re.compile(r"[a-z0-9][a-z0-9._-]*"), "letters, digits, dots, dashes and underscores"
)
ADDRESS = Text(
    re.compile(rf"https?://{HOST}(/[^\s?#]*)?"),
    "an http or https address without credentials, query or fragment",
)
PROXY_ADDRESS = Text(
    re.compile(rf"(https?|socks5h?)://{HOST}/?"),
    "http://host:port, https://host:port or socks5://host:port, without credentials",
)
HEADER_NAME = Text(re.compile(rf"{LETTER}+"), "a header's name")
HEADER_VALUE = Text(re.compile(r"[\t\x20-\x7e\x80-\xff]*"), "a header's value, on one line")
HEADER_PATTERN = Text(
    re.compile(r"\*|[!#$%&'+.^_`|~0-9A-Za-z-]+\*?"), "a header's name, with * at its end at most"
)
LABEL_NAME = Text(
    re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*"), "a label's name: a letter, then letters, digits, _ and -"
)
ORIGIN = Text(
    re.compile(rf"\*|([a-z][a-z0-9+.-]*://)?(\*\.)?{HOST}/?"),
    "*, an origin, or one with *. before its domain",
)
ROUTE = Text(re.compile(r"/[^\s*]*\*?"), "a path, with * at its end at most")
PEM = Text(
    re.compile(r"\s*|.*-----BEGIN CERTIFICATE-----.*-----END CERTIFICATE-----\s*", re.DOTALL),
    "certificates in PEM",
)
DURATION = Text(
    re.compile(r"(?=.*[1-9])(([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+|[0-9]+(\.[0-9]*)?[dwMY])"),
    "a duration such as 30s, 5m, 1h30m, 1d, 1w, 1M or 1Y",
)
MCP_NAME = Text(
    re.compile(r"[!-,./:-~][!-,./0-9:-~]*"),
    "ASCII without spaces or hyphens, not beginning with a digit",
)
