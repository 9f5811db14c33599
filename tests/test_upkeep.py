"""The commands about stores, as somebody types them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import apsw
import click
import pytest
import trio
from click.testing import CliRunner, Result

from bifrost.cli import main
from bifrost.config.fingerprints import Fingerprints
from bifrost.config.merge import merge
from bifrost.config.nouns import ANY, Put
from bifrost.config.secret import Secret
from bifrost.config.settings import ConfigStoreSettings
from bifrost.config_file import read_document
from bifrost.store.config_open import means, open_config_store
from bifrost.store.passwords import is_hash, verify_password
from bifrost.store.sqlite import SqliteFile
from store.cluster import WITHOUT, cluster

if TYPE_CHECKING:
    from pathlib import Path

    from bifrost.config.nouns import Change, Noun

FILE = """
encryption_key: a key of sixteen bytes
client: {max_inflight: 5}
governance: {virtual_keys: [{name: one}], teams: [{id: t, name: Core}]}
logs_store: {enabled: false}
"""
KEY = Secret("a key of sixteen bytes")


def run(folder: Path, *arguments: str, config: str | None = FILE, stdin: str = "") -> Result:
    if config is not None:
        (folder / "config.yaml").write_text(config)
    env = {"APP_DIR": str(folder), "BIFROST_ENCRYPTION_KEY": ""}
    return CliRunner().invoke(main, arguments, env=env, input=stdin)


async def start(folder: Path, *changes: Change, key: Secret | None = KEY) -> tuple[Noun, ...]:
    """A gateway's start, and what its API writes."""
    opened = open_config_store(ConfigStoreSettings(), folder, key)
    document, _ = read_document(None, folder)
    await opened.store.write(merge(document, (), (), opened.means).changes, 1.0)
    await opened.store.write(changes, 2.0)
    loaded = await opened.store.load()
    await opened.database.aclose()
    return loaded.nouns


def by_api(noun_id: str) -> Put:
    return Put(kind="team", id=noun_id, body={"id": noun_id, "name": "By API"}, expected=ANY)


def test_before_the_first_start_everything_is_only_in_the_file(tmp_path: Path) -> None:
    result = run(tmp_path, "config", "diff")

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "client client: only in the file; the file holds",
        "team t: only in the file; the file holds",
        "virtual_key one: only in the file; the file holds",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml"]


def test_after_it_they_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(FILE)
    nouns = trio.run(start, tmp_path)

    result = run(tmp_path, "config", "diff")

    assert (result.exit_code, result.stdout) == (0, "")
    assert str(nouns[-1].body["value"]).startswith("sk-bf-")


def test_a_difference_is_told_while_the_gateway_runs(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(FILE)
    trio.run(start, tmp_path, by_api("t"), by_api("new"))
    opened = open_config_store(ConfigStoreSettings(), tmp_path, KEY)
    trio.run(opened.store.load)

    result = run(tmp_path, "config", "diff")

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "team t: differs; the store holds",
        '    name: file "Core", store "By API"',
        "team new: only in the store; the store holds",
    ]
    trio.run(opened.database.aclose)


def test_without_a_store_there_is_nothing_to_differ_from(tmp_path: Path) -> None:
    result = run(tmp_path, "config", "diff", config="config_store: {enabled: false}")

    assert (result.exit_code, result.stdout) == (
        0,
        "there is no configuration store (config_store.enabled: false)\n",
    )


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            FILE.replace("a key of", "another of"),
            "store: the configuration store was sealed with another",
        ),
        (FILE.replace("encryption_key:", "# "), "store: the configuration store is sealed: set"),
        ("client: 5", "client: found a number"),
        ("governance: {teams: [{id: t, name: x, budget_id: y}]}", "governance.teams[0].budget_id"),
    ],
)
def test_what_cannot_be_compared_is_told(tmp_path: Path, config: str, told: str) -> None:
    (tmp_path / "config.yaml").write_text(FILE)
    trio.run(start, tmp_path)

    result = run(tmp_path, "config", "diff", config=config)

    assert result.exit_code == 2
    assert result.stderr.startswith(told)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = run(tmp_path, "config", "diff", "--config", str(tmp_path / "x"), config=None)

    assert (result.exit_code, result.stderr) == (
        2,
        f"{tmp_path / 'x'}: No such file or directory\n",
    )


def test_an_older_database_is_not_brought_forward_by_looking(tmp_path: Path) -> None:
    apsw.Connection(str(tmp_path / "config.db")).execute("CREATE TABLE something (a)")

    result = run(tmp_path, "config", "diff")

    assert result.exit_code == 2
    assert "older version: start the gateway, or run `bifrost migrate`" in result.stderr


def test_stores_are_brought_forward(tmp_path: Path) -> None:
    text = FILE.replace("logs_store: {enabled: false}", "")

    first, second = (run(tmp_path, "migrate", config=text).output.splitlines() for _ in range(2))

    assert first == [
        f"{tmp_path}/config.db: from version 0 to 1",
        f"{tmp_path}/logs.db: from version 0 to 1",
    ]
    assert second == [
        f"{tmp_path}/config.db: at version 1 already",
        f"{tmp_path}/logs.db: at version 1 already",
    ]


def test_stores_of_a_running_gateway_are_not(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "config.db")
    trio.run(file.ping)

    result = run(tmp_path, "migrate")

    assert (result.exit_code, result.stderr) == (
        2,
        "store: the database is in use by another gateway\n",
    )
    trio.run(file.aclose)


def test_stores_that_are_switched_off_are_left_alone(tmp_path: Path) -> None:
    text = "{config_store: {enabled: false}, logs_store: {enabled: false}}"

    assert run(tmp_path, "migrate", config=text).output == ""


def test_a_driver_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bifrost.store.postgres", None)
    postgres = "{host: localhost, port: 1, user: u, db_name: d, ssl_mode: disable}"

    result = run(
        tmp_path, "config", "diff", config=f"config_store: {{type: postgres, config: {postgres}}}"
    )

    assert result.exit_code == 2
    assert "install bifrost-trio[postgres]" in result.stderr


class TestPostgres:
    __test__ = not WITHOUT

    def test_it_is_brought_forward_and_compared(self, tmp_path: Path) -> None:
        with cluster() as there:
            postgres = f"{{host: 127.0.0.1, port: {there.port}, user: bifrost, db_name: postgres, ssl_mode: disable}}"
            config = f"{FILE}\nconfig_store: {{type: postgres, config: {postgres}}}"

            results = [
                run(tmp_path, *command, config=config)
                for command in (["config", "diff"], ["migrate"], ["config", "diff"])
            ]

        assert [result.exit_code for result in results] == [2, 0, 1]
        assert "older version" in results[0].stderr
        assert results[1].output == "postgres at 127.0.0.1: from version 0 to 1\n"
        assert "team t: only in the file" in results[2].output


def test_a_password_is_hashed() -> None:
    result = CliRunner().invoke(main, ["hash-password"], input="päss word \nmore\n")

    hashed = result.output.strip()
    assert is_hash(hashed)
    assert verify_password(hashed, "päss word ")
    assert not verify_password(hashed, "päss word")


def test_at_a_terminal_it_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def prompt(text: str, **options: object) -> str:
        asked.append((text, options["hide_input"], options["confirmation_prompt"]))
        return "typed"

    monkeypatch.setattr(click, "prompt", prompt)
    with CliRunner().isolation() as (output, *_):
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        main(["hash-password"], standalone_mode=False)
        hashed = output.getvalue().decode().strip()

    assert asked == [("Password", True, True)]
    assert verify_password(hashed, "typed")


@pytest.mark.parametrize(
    ("typed", "told"),
    [("\n", "is empty"), ("", "is empty"), ("x" * 2000, "longer than 1024 bytes")],
)
def test_no_password_is_no_hash(typed: str, told: str) -> None:
    result = CliRunner().invoke(main, ["hash-password"], input=typed)

    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


@pytest.mark.parametrize(
    "text", ["", "plain", "$2b$12$abc", "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"]
)
def test_what_is_no_argon2id_hash_verifies_nothing(text: str) -> None:
    assert not is_hash(text)
    assert not verify_password(text, "plain")


def test_a_hash_in_the_file_is_kept_as_it_is() -> None:
    passwords = means(Fingerprints()).passwords
    hashed = passwords.hash("p")

    assert passwords.hash(hashed) == hashed
    assert [passwords.fits(hashed, text) for text in ("p", hashed, "q")] == [True, True, False]


def test_a_store_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "config.db").mkdir()

    result = run(tmp_path, "migrate")

    assert (result.exit_code, result.stderr) == (2, "store: the store's file: Is a directory\n")
