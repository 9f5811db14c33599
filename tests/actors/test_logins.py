"""Logins of several steps, as the tokens actor takes them; and what the pool lends of it."""

from __future__ import annotations

import json
import random
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import attrs
import pytest
import trio

from actors.fakes import OK, Crashes, generation, key, need
from actors.scripted import NEVER, REFUSED, WALL_S, Answer, Scripted, ScriptedMachine, Seen
from bifrost.actors.key_pool import KeyPool
from bifrost.actors.messages import AttemptOutcome, Refused
from bifrost.actors.supervisor import supervise
from bifrost.actors.tokens import Tokens
from bifrost.config.key_configs import AzureKeySettings, BedrockKeySettings, VertexKeySettings
from bifrost.config.secret import AwsCredentials, Secret, Token
from bifrost.errors import ErrorClass, GatewayError
from bifrost.policy.token_sources import token_sources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from trio.testing import MockClock

    from bifrost.config.settings import KeySettings

FORBIDDEN = AttemptOutcome(error_class=ErrorClass.AUTH, status=403)
UNAUTHORIZED = AttemptOutcome(error_class=ErrorClass.AUTH, status=401)


def told(members: object, **more: Any) -> Answer:
    return Answer(pieces=(json.dumps(members).encode(),), **more)


@attrs.define(eq=False)
class House:
    """A pool, its tokens, the world outside and the machine that it is on."""

    pool: KeyPool
    tokens: Tokens
    outside: Scripted
    machine: ScriptedMachine
    complaints: list[str]

    async def lend(self, outcome: AttemptOutcome = OK) -> Secret | str:
        """What was lent, or why nothing was."""
        async with self.pool.lease(need(), draw=0.0, deadline_s=1e9) as lease:
            if isinstance(lease, Refused):
                return lease.reason
            assert lease.granted.key is not None
            lease.outcome = outcome
            return lease.granted.key.value

    async def state(self) -> str:
        return (await self.pool.ask_snapshot()).keys[0].state


@asynccontextmanager
async def house(
    provider: str,
    one: KeySettings,
    outside: Callable[[Seen], Answer],
    machine: ScriptedMachine | None = None,
) -> AsyncIterator[House]:
    rng = random.Random()
    rng.random = lambda: 0.0  # type: ignore[method-assign]  # a chance that is none
    world, crashes, complaints = Scripted(provider, outside), Crashes(), list[str]()

    def complain(_: str, error: GatewayError, wait_s: float) -> None:
        complaints.append(f"{trio.current_time():g}: {error.message}")

    machine = machine or ScriptedMachine()
    tokens = Tokens(provider, rng=rng, machine=machine, on_failure=complain)
    pool = KeyPool(
        generation(one, name=provider),
        drop_excess=False,
        max_waiting=9,
        on_token_refused=tokens.tell_refused,
        fault=crashes,
    )
    tokens.push_to(pool.send)
    tokens.tell_follow(dict.fromkeys(token_sources((one,), provider), world))
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(supervise, pool, on_crash=crashes.on_crash))
        await nursery.start(partial(supervise, tokens, on_crash=crashes.on_crash))
        yield House(pool, tokens, world, machine, complaints)
        nursery.cancel_scope.cancel()
    assert not crashes.log
    assert world.open_now == machine.services.open_now == 0


# AWS

BEDROCK = key("a", value="", bedrock=BedrockKeySettings(region="eu-west-1"))
ROLE = attrs.evolve(BEDROCK, bedrock=BedrockKeySettings(region="eu-west-1", role_arn="arn:r"))


def iso(unix_s: float) -> str:
    """Of a time in 2027, in ISO's spelling."""
    day_s = 1_799_971_200.0
    left_s = int(unix_s - day_s)
    assert 0 <= left_s < 2 * 86400
    day, left_s = divmod(left_s, 86400)
    return f"2027-01-{15 + day}T{left_s // 3600:02}:{left_s % 3600 // 60:02}:{left_s % 60:02}Z"


def ec2(seen: Seen) -> Answer:
    """A machine with a role whose credentials hold for an hour."""
    if seen.url.endswith("/api/token"):
        return Answer(pieces=(b"imds",))
    if seen.url.endswith("/security-credentials/"):
        return Answer(pieces=(b"box",))
    end = iso(WALL_S + seen.at_s + 3600)
    number = f"{seen.at_s:g}"
    return told({"AccessKeyId": f"A{number}", "SecretAccessKey": "s", "Token": "t", "Expiration": end})  # fmt: skip


def sts(seen: Seen) -> Answer:
    """Credentials for a quarter of an hour, named for the time and for who asked."""
    who = seen.headers[b"authorization"].decode().partition("Credential=")[2].partition("/")[0]
    end = iso(WALL_S + seen.at_s + 900)
    body = (
        "<R><C>"
        f"<AccessKeyId>{who}+{seen.at_s:g}</AccessKeyId><SecretAccessKey>s2</SecretAccessKey>"
        f"<SessionToken>t2</SessionToken><Expiration>{end}</Expiration></C></R>"
    )
    return Answer(pieces=(body.encode(),))


def on_ec2() -> ScriptedMachine:
    return ScriptedMachine(Scripted("machine", ec2))


async def test_a_machines_credentials_are_lent_and_replaced(autojump_clock: MockClock) -> None:
    async with house("bedrock", BEDROCK, lambda _: REFUSED, on_ec2()) as here:
        await here.tokens.wait_settled()
        assert await here.lend() == AwsCredentials("A0", "s", "t")

        await trio.sleep(3400)
        assert await here.lend() == AwsCredentials("A3300", "s", "t")
        assert here.outside.seen == []
        assert {seen.connect_s for seen in here.machine.services.seen} == {3.0}


async def test_a_role_is_assumed_with_what_the_machine_has(autojump_clock: MockClock) -> None:
    async with house("bedrock", ROLE, sts, on_ec2()) as here:
        await here.tokens.wait_settled()
        assert await here.lend() == AwsCredentials("A0+0", "s2", "t2")

        await trio.sleep(800)
        assert await here.lend() == AwsCredentials("A720+720", "s2", "t2")
        assert {seen.connect_s for seen in here.outside.seen} == {10.0}


async def test_a_role_is_assumed_with_a_keys_own_pair(autojump_clock: MockClock) -> None:
    own = BedrockKeySettings(
        region="eu-west-1", role_arn="arn:r", access_key=Secret("OWN"), secret_key=Secret("s")
    )
    async with house("bedrock", attrs.evolve(BEDROCK, bedrock=own), sts) as here:
        await here.tokens.wait_settled()

        lent = await here.lend()
        assert isinstance(lent, AwsCredentials)
        assert lent.access_key_id == "OWN+0"


async def test_credentials_that_are_refused_are_replaced(autojump_clock: MockClock) -> None:
    async with house("bedrock", ROLE, sts, on_ec2()) as here:
        await trio.sleep(100)
        await here.lend(FORBIDDEN)
        await trio.sleep(1)

        assert await here.lend() == AwsCredentials("A100+100", "s2", "t2")


async def test_a_pair_of_its_own_needs_nobody(autojump_clock: MockClock) -> None:
    own = BedrockKeySettings(region="r", access_key=Secret("A"), secret_key=Secret("S"))
    async with house("bedrock", attrs.evolve(BEDROCK, bedrock=own), lambda _: NEVER) as here:
        await here.tokens.wait_settled()

        assert await here.lend(FORBIDDEN) == AwsCredentials("A", "S")
        assert here.outside.seen == here.machine.services.seen == []


async def test_a_place_without_credentials_fails_its_key_until_it_has_some(
    autojump_clock: MockClock,
) -> None:
    def late(seen: Seen) -> Answer:
        return ec2(seen) if seen.at_s > 5 else REFUSED

    machine = ScriptedMachine(Scripted("machine", late))
    async with house("bedrock", BEDROCK, lambda _: NEVER, machine) as here:
        await here.tokens.wait_settled()
        assert await here.state() == "failed"
        assert here.complaints[0].startswith("0: no credentials of AWS: ")

        await trio.sleep(10)
        assert await here.lend() == AwsCredentials("A5.6", "s", "t")


async def test_a_file_is_read_anew_each_time(autojump_clock: MockClock) -> None:
    def profile(name: str) -> bytes:
        return f"[default]\naws_access_key_id={name}\naws_secret_access_key=s".encode()

    machine = ScriptedMachine(environ={"HOME": "/h"}, files={"/h/.aws/credentials": profile("one")})
    async with house("bedrock", BEDROCK, lambda _: NEVER, machine) as here:
        await here.tokens.wait_settled()
        assert await here.lend() == AwsCredentials("one", "s")

        machine.files["/h/.aws/credentials"] = profile("two")
        await trio.sleep(3400)
        assert await here.lend() == AwsCredentials("two", "s")


async def test_a_file_that_hangs_is_given_up(autojump_clock: MockClock) -> None:
    machine = ScriptedMachine(environ={"HOME": "/h"}, files={"/h/.aws/credentials": 1e9})
    async with house("bedrock", BEDROCK, lambda _: NEVER, machine) as here:
        await trio.sleep(20.5)

        assert here.complaints == ["20: /h/.aws/credentials could not be read in time"]


# Google

USER = {"client_id": "c", "client_secret": "c~secret", "refresh_token": "r~token"}
IMPERSONATED = {
    "type": "impersonated_service_account",
    "service_account_impersonation_url": "https://iam.test/imp",
    "source_credentials": {"type": "authorized_user", "token_uri": "https://o.test/token", **USER},
}


def vertex(credentials: object | None = None) -> KeySettings:
    text = None if credentials is None else Secret(json.dumps(credentials))
    return key(
        "g",
        value="",
        vertex=VertexKeySettings(project_id="p", region="r", auth_credentials=text),
    )


def google(seen: Seen) -> Answer:
    if seen.url == "https://iam.test/imp":
        assert seen.key.startswith("user-")
        return told({"accessToken": f"sa-{seen.at_s:g}", "expireTime": iso(WALL_S + seen.at_s + 3600)})  # fmt: skip
    assert parse_qs(seen.body.decode())["refresh_token"] == ["r~token"]
    return told({"access_token": f"user-{seen.at_s:g}", "expires_in": 3599})


async def test_an_impersonated_accounts_token_is_lent(autojump_clock: MockClock) -> None:
    async with house("vertex", vertex(IMPERSONATED), google) as here:
        await here.tokens.wait_settled()
        assert await here.lend() == Token("sa-0")

        await trio.sleep(3500)
        assert await here.lend() == Token("sa-3300")


@pytest.mark.parametrize("outcome", [UNAUTHORIZED, FORBIDDEN])
async def test_a_token_that_google_refuses_is_replaced(
    outcome: AttemptOutcome, autojump_clock: MockClock
) -> None:
    async with house("vertex", vertex(IMPERSONATED), google) as here:
        await trio.sleep(100)
        await here.lend(outcome)
        await trio.sleep(1)

        assert await here.lend() == Token("sa-100")


async def test_all_steps_have_one_time_limit(autojump_clock: MockClock) -> None:
    def slow(seen: Seen) -> Answer:
        return attrs.evolve(google(seen), delay_s=15.0)

    async with house("vertex", vertex(IMPERSONATED), slow) as here:
        await trio.sleep(20.5)

        assert here.complaints == ["20: request timed out"]
        assert [seen.at_s for seen in here.outside.seen] == [0.0, 15.0]


async def test_credentials_that_are_none_fail_their_key(autojump_clock: MockClock) -> None:
    async with house("vertex", vertex({"type": "magic", "x": "h~ush"}), google) as here:
        await here.tokens.wait_settled()

        assert await here.state() == "failed"
        assert "type 'magic' is not supported" in here.complaints[0]
        assert "ush" not in here.complaints[0]
        assert here.outside.seen == []


async def test_the_metadata_server_is_asked_where_there_is_nothing_else(
    autojump_clock: MockClock,
) -> None:
    machine = ScriptedMachine(Scripted("m", lambda _: told({"access_token": "vm"})))
    async with house("vertex", vertex(), lambda _: NEVER, machine) as here:
        await here.tokens.wait_settled()

        assert await here.lend() == Token("vm")


# Azure


async def test_a_refused_token_of_a_managed_identity_is_replaced(
    autojump_clock: MockClock,
) -> None:
    machine = ScriptedMachine(
        Scripted("m", lambda seen: told({"access_token": f"vm-{seen.at_s:g}"}))
    )
    azure = AzureKeySettings(endpoint="https://x.example")
    async with house("azure", key("z", value="", azure=azure), lambda _: NEVER, machine) as here:
        await trio.sleep(100)
        assert await here.lend(UNAUTHORIZED) == Token("vm-0")
        await trio.sleep(1)

        assert await here.lend() == Token("vm-100")
