"""What a provider's keys and sections must be together, and what the loader fills in for them."""

from __future__ import annotations

import uuid
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.config.faults import below, item, nearest, shown
from bifrost.config.key_configs import AzureKeySettings, BedrockKeySettings
from bifrost.config.names import (
    BASE_TYPES,
    BUILT_IN,
    KEYLESS,
    MAY_BE_BLANK,
    NO_PATH_OVERRIDES,
    SECURITY_HEADERS,
    WITHOUT_ADDRESS,
)
from bifrost.config.price_checks import check_old_override
from bifrost.config.settings import (
    CustomProviderSettings,
    HeaderFilterSettings,
    KeySettings,
    NetworkSettings,
    ProviderSettings,
    ProxySettings,
)
from bifrost.config.texts import HEADER_NAME, HEADER_VALUE, PROVIDER_NAME
from bifrost.config.walk import Finish, Place, Walk, finishing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["key_id", "provider_finishes"]

KEY_IDS = uuid.UUID("5b5c4ad4-5d0b-5a3e-9c5e-6f0e7a1b4c2d")
"""Namespace of generated key ids."""

FRAMING_HEADERS = frozenset({"connection", "content-length", "host", "transfer-encoding"})
"""Set by the transport; a configured one would break the request."""

PROXY_SCHEMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "http": ("http://", "https://"),
        "socks5": ("socks5://", "socks5h://"),
    }
)

KEY_CONFIGS = (
    "azure",
    "vertex",
    "bedrock",
    "replicate",
    "huggingface",
    "vllm",
    "ollama",
    "sgl",
)


def provider_finishes(*, empty_allows_all: bool) -> Iterator[tuple[type, Finish]]:
    """The checks of one document; they remember which names are taken."""
    yield finishing(NetworkSettings, _network)
    yield finishing(ProxySettings, _proxy)
    yield finishing(CustomProviderSettings, _custom)
    yield finishing(HeaderFilterSettings, _header_filter)
    yield finishing(AzureKeySettings, _azure)
    yield finishing(BedrockKeySettings, _bedrock)
    yield finishing(KeySettings, _Keys(empty_allows_all=empty_allows_all).check)
    yield finishing(ProviderSettings, _Providers().check)


def key_id(provider: str, name: str) -> str:
    """The id of a key that was given none: the same each time the file is read."""
    return str(uuid.uuid5(KEY_IDS, f"{provider}/{name}"))


def _network(walk: Walk, network: NetworkSettings, place: Place) -> NetworkSettings:
    for name in network.extra_headers:
        if not HEADER_NAME.holds(name):
            walk.error(
                below(place.path, "extra_headers"), "a name that is none", HEADER_NAME.allowed
            )
        elif name.lower() in FRAMING_HEADERS:
            walk.error(
                below(below(place.path, "extra_headers"), name),
                "a header that the transport sets",
                "other headers",
            )
    if network.insecure_skip_verify:
        walk.warnings.append(f"{place.path}.insecure_skip_verify: any certificate is accepted")
    return attrs.evolve(network, base_url=(network.base_url or "").rstrip("/") or None)


def _proxy(walk: Walk, proxy: ProxySettings, place: Place) -> ProxySettings:
    """Incomplete means refused, never *direct*: whoever configures a proxy may depend on it."""
    for member, variable in walk.take_unset(place.path).items():
        walk.error(
            f"{place.path}.{member}", f"{variable}, which is not set", "a variable that is set"
        )
    if not walk.is_sound(place.path, "type", "url", "username", "password"):
        return proxy
    if "type" not in place.raw and proxy != ProxySettings():
        walk.error(below(place.path, "type"), "nothing", "none, http, socks5 or environment")
    schemes = PROXY_SCHEMES.get(proxy.type)
    if schemes and not (proxy.url or "").startswith(schemes):
        found = "an address of another type" if proxy.url else "nothing"
        walk.error(
            below(place.path, "url"), found, f"an address that begins with {' or '.join(schemes)}"
        )
    if bool(proxy.username) != bool(proxy.password):
        walk.error(place.path, "one of username and password", "both or neither")
    return proxy


def _custom(walk: Walk, custom: CustomProviderSettings, place: Place) -> CustomProviderSettings:
    at, base = below(place.path, "base_provider_type"), custom.base_provider_type
    if not walk.is_sound(place.path, "base_provider_type"):
        return custom
    if not base:
        walk.error(at, "missing base provider type", ", ".join(BASE_TYPES))
    elif base not in BASE_TYPES:
        words = f"unsupported base provider type {shown(base)}"
        walk.error(at, words, ", ".join(BASE_TYPES), nearest(base, BASE_TYPES))
    if custom.request_path_overrides and base in NO_PATH_OVERRIDES:
        walk.error(
            below(place.path, "request_path_overrides"),
            "overrides",
            f"none: {base} has the model in its paths",
        )
    if custom.is_key_less and base == "bedrock":
        walk.warnings.append(f"{place.path}.is_key_less: has no meaning for bedrock, which signs")
    return custom


def _header_filter(walk: Walk, headers: HeaderFilterSettings, place: Place) -> HeaderFilterSettings:
    for field in ("allowlist", "denylist"):
        for index, pattern in enumerate(getattr(headers, field)):
            if pattern.lower() in SECURITY_HEADERS:
                walk.error(
                    item(below(place.path, field), index),
                    f"the security header {pattern!r}, which is never forwarded",
                    "other headers",
                )
    return headers


def _azure(walk: Walk, azure: AzureKeySettings, place: Place) -> AzureKeySettings:
    given = [azure.client_id, azure.client_secret, azure.tenant_id]
    if None in given and given != [azure.client_id, None, None]:
        walk.error(
            place.path,
            "a part of a service principal",
            "client_id, client_secret and tenant_id; or client_id alone, of a managed identity",
        )
    return attrs.evolve(
        azure,
        endpoint=azure.endpoint.rstrip("/"),
        authority_host=azure.authority_host.rstrip("/"),
    )


def _bedrock(walk: Walk, bedrock: BedrockKeySettings, place: Place) -> BedrockKeySettings:
    pair = [bedrock.access_key is None, bedrock.secret_key is None]
    if any(pair) and (not all(pair) or bedrock.session_token is not None):
        walk.error(
            place.path,
            "a part of a pair of keys",
            "access_key and secret_key, perhaps with session_token; or none of them",
        )
    told = (bedrock.external_id, bedrock.session_name)
    if not bedrock.role_arn and any(text is not None for text in told):
        walk.warnings.append(
            f"{place.path}: external_id and session_name mean nothing without a role_arn"
        )
    return bedrock


@attrs.define(eq=False)
class _Keys:
    """Names and ids of keys are unique over all providers: ``_taken`` has where each was used first."""

    empty_allows_all: bool
    _taken: dict[tuple[str, str], str] = attrs.field(factory=dict)

    def check(self, walk: Walk, key: KeySettings, place: Place) -> KeySettings:
        self._take(walk, "name", key.name, place.path)
        if key.id:
            self._take(walk, "id", key.id, place.path)
        if not HEADER_VALUE.holds(key.value.reveal()):
            walk.error(
                below(place.path, "value"),
                "characters no header can carry",
                "printable text on one line",
            )
        self._warn_of_unset(walk, key, place.path)
        deployments = _deployments(key)
        server = key.vllm or key.ollama or key.sgl
        return attrs.evolve(
            key,
            models=self._models(walk, key, place, deployments),
            deployments=deployments,
            url=(server.url.rstrip("/") or None) if server else None,
            model_name=key.vllm.model_name if key.vllm else None,
        )

    def _take(self, walk: Walk, what: str, value: str, path: str) -> None:
        first = self._taken.setdefault((what, value), path)
        if first != path:
            walk.error(
                below(path, what), f"{shown(value)}, which {first} has", "one that no other key has"
            )

    def _warn_of_unset(self, walk: Walk, key: KeySettings, path: str) -> None:
        for member, variable in walk.take_unset(path).items():
            if key.enabled:
                lack = "the key has no value" if member == "value" else f"{member} is empty"
                walk.warnings.append(f'{path} ("{key.name}"): {variable} is not set, so {lack}')

    def _models(
        self, walk: Walk, key: KeySettings, place: Place, deployments: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Absent: all, or those with a deployment. Empty: those with a deployment, or none."""
        if place.raw.get("models") is None:
            return () if deployments else ("*",)
        if key.models or not walk.is_sound(place.path, "models"):
            return key.models
        if self.empty_allows_all:
            walk.warnings.append(
                f'{place.path}.models ("{key.name}"): empty means all, by compat_empty_allows_all; write ["*"]'
            )
            return ("*",)
        if not deployments:
            walk.warnings.append(
                f'{place.path}.models ("{key.name}"): empty, so the key serves no model; ["*"] means all'
            )
        return ()


def _deployments(key: KeySettings) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for section in (key.azure, key.vertex, key.bedrock, key.replicate, key.huggingface):
        found |= section.deployments if section else {}
    return MappingProxyType(found)


@attrs.define(eq=False)
class _Providers:
    def check(self, walk: Walk, provider: ProviderSettings, place: Place) -> ProviderSettings:
        _check_name(walk, provider, place.path)
        _check_line(walk, provider, place.path)
        _check_prices(walk, provider, place.path)
        _warn_of_lacks(walk, provider, place.path)
        keys = tuple(
            attrs.evolve(key, id=key.id or key_id(provider.name, key.name)) for key in provider.keys
        )
        return attrs.evolve(provider, keys=keys)


def _check_name(walk: Walk, provider: ProviderSettings, path: str) -> None:
    name, custom = provider.name, provider.custom
    if custom is not None and name in BUILT_IN:
        walk.error(
            below(path, "custom_provider_config"),
            f"the name of the built-in provider {name}",
            "a name of your own",
        )
    elif name not in BUILT_IN and custom is None and walk.is_sound(path, "custom_provider_config"):
        walk.error(
            path,
            "an unknown provider",
            f"{', '.join(sorted(BUILT_IN))}; or any other with custom_provider_config",
            nearest(name, sorted(BUILT_IN)),
        )
    elif not PROVIDER_NAME.holds(name):
        walk.error(
            path, "a provider's name that no model can have before its slash", PROVIDER_NAME.allowed
        )


def _check_line(walk: Walk, provider: ProviderSettings, path: str) -> None:
    line = below(path, "concurrency_and_buffer_size")
    if not walk.is_sound(line, "concurrency", "buffer_size"):
        return
    if provider.concurrency > provider.buffer_size:
        walk.error(
            below(line, "concurrency"),
            str(provider.concurrency),
            f"at most buffer_size, which is {provider.buffer_size}",
        )


def _check_prices(walk: Walk, provider: ProviderSettings, path: str) -> None:
    """Version 1.4's overrides."""
    for index, override in enumerate(provider.pricing_overrides):
        check_old_override(walk, override, item(below(path, "pricing_overrides"), index))


def _warn_of_lacks(walk: Walk, provider: ProviderSettings, path: str) -> None:
    """What does not stop the gateway, but leaves a provider or a key of it without use."""
    base = provider.custom.base_provider_type if provider.custom else provider.name
    key_less = base in KEYLESS or bool(provider.custom and provider.custom.is_key_less)
    if not provider.keys and not key_less and walk.is_sound(path, "keys"):
        walk.warnings.append(f"{path}: has no keys, so it serves only callers who bring their own")
    if base in WITHOUT_ADDRESS and not provider.network.base_url and not provider.keys:
        walk.warnings.append(f"{path}: has no address; set network_config.base_url")
    for index, key in enumerate(provider.keys):
        at = item(below(path, "keys"), index)
        if not key.value and not key.value.reference and base not in MAY_BE_BLANK and not key_less:
            walk.warnings.append(f'{at} ("{key.name}"): has no value, so it serves nothing')
        if base in WITHOUT_ADDRESS and not provider.network.base_url and not key.url:
            walk.warnings.append(
                f'{at} ("{key.name}"): has no address; set {base}_key_config.url or network_config.base_url'
            )
        if base == "azure" and not provider.network.base_url and key.azure is None:
            walk.warnings.append(
                f'{at} ("{key.name}"): has no address; set azure_key_config.endpoint or network_config.base_url'
            )
        walk.warnings.extend(
            f'{at}.{name}_key_config ("{key.name}"): has no meaning for {base}'
            for name in KEY_CONFIGS
            if name != base and getattr(key, name) is not None
        )
