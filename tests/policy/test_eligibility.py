from __future__ import annotations

from typing import Any

import pytest

from bifrost.actors.messages import Need, Refusal
from bifrost.config.secret import Secret
from bifrost.config.settings import CustomProviderSettings, KeySettings, ProviderSettings
from bifrost.policy import eligibility
from bifrost.policy.eligibility import KEYLESS, NoKey, eligible, is_keyless
from bifrost.schema.call import Operation


def key(key_id: str = "a", value: str = "sk-x", **more: Any) -> KeySettings:
    return KeySettings(id=key_id, name=f"name-{key_id}", value=Secret(value), **more)


def of(*keys: KeySettings, name: str = "openai", **more: Any) -> ProviderSettings:
    return ProviderSettings(name=name, keys=keys, **more)


def wish(model: str = "m", operation: Operation = Operation.CHAT, **more: Any) -> Need:
    return Need(model=model, operation=operation, **more)


DEPLOYED = {"m": "d"}


@pytest.mark.parametrize(
    ("name", "one", "passes"),
    [
        ("openai", key(models=()), False),
        ("openai", key(models=("*",)), True),
        ("openai", key(models=("m", "n")), True),
        ("openai", key(models=("M",)), False),
        ("openai", key(models=("n",)), False),
        ("openai", key(models=("m",), blacklisted_models=("m",)), False),
        ("openai", key(blacklisted_models=("m",)), False),
        ("openai", key(blacklisted_models=("n",)), True),
        ("azure", key(deployments=DEPLOYED), True),
        ("azure", key(deployments={"n": "d"}), False),
        ("azure", key(deployments={}), True),
        ("azure", key(models=(), deployments=DEPLOYED), True),
        ("azure", key(models=(), deployments={"n": "d"}), False),
        ("azure", key(models=("m",), deployments={"n": "d"}), False),
        ("openai", key(deployments={"n": "d"}), True),
        ("vllm", key(model_name="m"), True),
        ("vllm", key(model_name="n"), False),
        ("openai", key(model_name="n"), True),
        ("openai", key(enabled=False), False),
        ("openai", key(value=""), False),
        ("openai", key(value="  "), False),
        ("azure", key(value=""), True),
        ("vllm", key(value=""), True),
        ("ollama", key(value=""), True),
    ],
)
def test_filter_truth_table(name: str, one: KeySettings, passes: bool) -> None:
    found = eligible(of(one, name=name), wish())

    assert bool(found.keys) is passes
    assert ("a" in found.reasons) is not passes


@pytest.mark.parametrize(
    ("settings", "asked", "missing"),
    [
        (of(), wish(), NoKey.NO_KEYS),
        (of(key(enabled=False)), wish(), NoKey.NO_KEYS),
        (of(key()), wish(include_only=frozenset()), NoKey.NO_KEYS),
        (of(key()), wish(include_only=frozenset({"b"})), NoKey.NO_KEYS),
        (of(key(models=("n",))), wish(), NoKey.NO_KEY_FOR_MODEL),
        (of(key()), wish(pin_id="b"), NoKey.UNKNOWN_KEY_ID),
        (of(key()), wish(pin_name="b"), NoKey.UNKNOWN_KEY_NAME),
        (of(key(blacklisted_models=("m",)), key("b")), wish(pin_id="a"), NoKey.UNKNOWN_KEY_ID),
    ],
)
def test_what_is_missing(settings: ProviderSettings, asked: Need, missing: NoKey) -> None:
    assert eligible(settings, asked).missing is missing


def test_pin_by_id_wins_over_name_and_blanks_are_ignored() -> None:
    settings = of(key("a"), key("b"))

    def ids(**pins: Any) -> list[str]:
        return [found.id for found in eligible(settings, wish(**pins)).keys]

    assert ids(pin_id="a", pin_name="name-b") == ["a"]
    assert ids(pin_name="name-b") == ["b"]
    assert ids(pin_id=" ", pin_name="  ") == ["a", "b"]


def test_include_only_keeps_the_configured_order() -> None:
    settings = of(key("a"), key("b"), key("c"))

    found = eligible(settings, wish(include_only=frozenset({"c", "a"})))

    assert [one.id for one in found.keys] == ["a", "c"]
    assert found.reasons == {"b": "not among the keys that governance allows"}


def test_batch_operations_need_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eligibility, "NEEDS_BATCH_FLAG", frozenset({Operation.CHAT.value}))

    closed = eligible(of(key(use_for_batch_api=False)), wish())
    opened = eligible(of(key(use_for_batch_api=True)), wish())

    assert closed.missing is NoKey.NOT_FOR_BATCH
    assert opened.missing is None


@pytest.mark.parametrize("asked", [wish("n", Operation.LIST_MODELS), wish("")])
def test_listing_models_skips_the_model_check(asked: Need) -> None:
    assert eligible(of(key(models=("m",))), asked).missing is None


@pytest.mark.parametrize(
    ("settings", "keyless"),
    [
        (of(name="mock"), True),
        (of(name="ollama"), True),
        (of(name="sgl"), True),
        (of(name="openai"), False),
        (of(key(), name="mock"), False),
        (of(name="mine", custom=CustomProviderSettings(base_provider_type="openai")), False),
        (of(name="mine", custom=CustomProviderSettings(base_provider_type="ollama")), True),
        (
            of(
                key(),
                name="mine",
                custom=CustomProviderSettings(base_provider_type="openai", is_key_less=True),
            ),
            True,
        ),
        (
            of(
                name="mine",
                custom=CustomProviderSettings(base_provider_type="bedrock", is_key_less=True),
            ),
            False,
        ),
    ],
)
def test_keyless_providers(settings: ProviderSettings, keyless: bool) -> None:
    found = eligible(settings, wish(include_only=frozenset()))

    assert is_keyless(settings) is keyless
    assert (found.keys == (KEYLESS,)) is keyless


def test_custom_providers_go_by_their_base_type() -> None:
    custom = CustomProviderSettings(base_provider_type="azure")

    found = eligible(of(key(value="", deployments={"n": "d"}), name="mine", custom=custom), wish())

    assert found.missing is NoKey.NO_KEY_FOR_MODEL


def test_weight_zero_is_out_of_rotation_unless_all_have_it() -> None:
    spare, used = key("a", weight=0.0), key("b", weight=0.1)

    assert eligible(of(spare, used), wish()).rotation() == (used,)
    assert eligible(of(spare), wish()).rotation() == (spare,)


def test_reasons_are_the_words_of_refusals() -> None:
    words = {value for name, value in vars(Refusal).items() if name.isupper()}

    assert {missing.value for missing in NoKey} <= words
