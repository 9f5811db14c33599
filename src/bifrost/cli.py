"""The command line: ``serve``, ``check-config``, ``explain``, and the upkeep of stores.

Exit status: 0 all is well, 1 serving failed, there is a difference, or (of ``explain``) nobody would serve the call, 2 the
configuration or the command line is wrong, or a store is away.
Every long option is also understood with one dash (``-config``), as the original spells it.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import attrs
import click

from bifrost.config.faults import ConfigErrors
from bifrost.config.options import ServeOptions
from bifrost.config.settings import Config
from bifrost.config.starting import notices, refusals, refuse_workers
from bifrost.config_file import default_app_dir, find_config, read_config, read_document
from bifrost.store.base import StoreError

if TYPE_CHECKING:
    from bifrost.explain import Explanation  # noqa: TC004  it brings every room, and attrs never looks at it

__all__ = ["Actions", "main"]

F = TypeVar("F", bound=Callable[..., object])

DIFFERENT = 1
WRONG = 2
UNSERVED = 1


@attrs.frozen
class Actions:
    """What the commands do once all is checked; tests hand in others as the context's object."""

    serve: Callable[[ServeOptions], int]
    explain: Callable[[Config, str, Sequence[tuple[str, str]]], Explanation]


def _actions(context: click.Context) -> Actions:
    """The gateway's own, imported only now: it brings every room with it."""
    if isinstance(context.obj, Actions):
        return context.obj
    # What modules make stays: to look for garbage in it takes a fifth of the time. Who serves has it looked for once, when
    # all is there (gateway.starting); who only explains is gone before it matters.
    gc.disable()
    from bifrost import gateway  # noqa: PLC0415  heavy, and check-config does without

    return Actions(gateway.serve, gateway.explain)


def _config_options(command: F) -> F:
    where = click.Path(path_type=Path)
    command = click.option(
        "--app-dir", "-app-dir", type=where, envvar="APP_DIR", default=default_app_dir,
        help="Where config.yaml is looked for.",
    )(command)  # fmt: skip
    return click.option(
        "--config", "-config", "config_path", type=where, default=None,
        help="The configuration's file.  [default: config.yaml, .yml or .json in the app-dir]",
    )(command)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bifrost-trio")
def main() -> None:
    """Bifrost, an LLM gateway."""


@main.command()
@_config_options
@click.option(
    "--host", "-host", envvar=["BIFROST_HOST", "APP_HOST"], default="localhost", show_default=True
)
@click.option(
    "--port",
    "-port",
    type=click.IntRange(0, 65535),
    envvar="APP_PORT",
    default=8080,
    show_default=True,
)
@click.option(
    "--log-level", "-log-level", envvar="LOG_LEVEL", default="info", show_default=True,
    type=click.Choice(["debug", "info", "warn", "error"], case_sensitive=False),
)  # fmt: skip
@click.option(
    "--log-style", "-log-style", envvar="LOG_STYLE", default="json", show_default=True,
    type=click.Choice(["json", "pretty"], case_sensitive=False),
)  # fmt: skip
@click.option(
    "--workers", "-workers", type=click.IntRange(min=1), default=1, help="Only 1 for now."
)
@click.option(
    "--insecure", "-insecure", is_flag=True, help="Serve although a protection is missing."
)
@click.pass_context
def serve(context: click.Context, /, *, workers: int, **arguments: object) -> None:
    """Serve until SIGTERM. SIGHUP reads the configuration again."""
    options = ServeOptions(**arguments)  # type: ignore[arg-type]  # click has checked them against the same names
    if (reason := refuse_workers(workers)) is not None:
        _stop([reason])
    config = _read(options.config_path, options.app_dir)
    if reasons := refusals(config, options):
        _stop(reasons)
    context.exit(_actions(context).serve(options))


@main.command("check-config")
@_config_options
def check_config(config_path: Path | None, app_dir: Path) -> None:
    """Check the configuration: every mistake on its own line. Looks into no store."""
    config = _read(config_path, app_dir, is_all=True)
    for notice in notices(config):
        click.echo(f"warning: {notice}", err=True)
    for name in config.unguarded:
        click.echo(f"warning: {name}: not built yet; serve refuses without --insecure", err=True)
    keys = sum(len(provider.keys) for provider in config.providers.values())
    where = find_config(config_path, app_dir) or "no file"
    click.echo(f"{where}: good; providers: {', '.join(config.providers) or 'none'}; keys: {keys}")


@main.command()
@click.argument("model")
@click.option(
    "--header",
    "-header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="As the call has it.",
)
@_config_options
@click.pass_context
def explain(
    context: click.Context,
    model: str,
    headers: tuple[str, ...],
    config_path: Path | None,
    app_dir: Path,
) -> None:
    """Say which keys would serve MODEL by the file alone, how often, and why the others would not. Sends nothing.

    Exit status 1 if nobody would.
    """
    pairs = [_header(text) for text in headers]
    config = _read(config_path, app_dir)
    explained = _actions(context).explain(config, model, pairs)
    click.echo(explained.text)
    context.exit(0 if explained.is_served else UNSERVED)


@main.group("config")
def config_commands() -> None:
    """The configuration's file and its store."""


@config_commands.command("diff")
@_config_options
@click.pass_context
def config_diff(context: click.Context, config_path: Path | None, app_dir: Path) -> None:
    """Say where the file and the configuration store differ, and which of them holds. Exit status 1 if they do.

    May be asked beside a running gateway, and changes nothing.
    """
    from bifrost import upkeep  # noqa: PLC0415  heavy, and few commands need it

    with _told():
        document, mistakes = read_document(config_path, app_dir)
        found = upkeep.differences(document, mistakes, os.environ, app_dir)
    where = find_config(config_path, app_dir)
    click.echo(f"file: {where or f'none in {app_dir}'}; store: of {app_dir}", err=True)
    if found is None:
        click.echo("there is no configuration store (config_store.enabled: false)")
        return
    for difference in found:
        click.echo(upkeep.told(difference))
    context.exit(DIFFERENT if found else 0)


@main.command("migrate")
@_config_options
def migrate(config_path: Path | None, app_dir: Path) -> None:
    """Bring the stores forward to this version. Serving does the same; there is no way back."""
    from bifrost import upkeep  # noqa: PLC0415  heavy, and few commands need it

    with _told():
        document, mistakes = read_document(config_path, app_dir)
        for line in upkeep.forward(document, mistakes, os.environ, app_dir):
            click.echo(line)


@main.command("hash-password")
def hash_password() -> None:
    """Read a password, from the terminal or the first line of the input, and write its argon2id hash.

    The hash is for auth_config.admin_password. A password on the command line could be seen by others, so it is not taken.
    """
    from bifrost.store import passwords  # noqa: PLC0415  heavy, and few commands need it

    stdin = sys.stdin
    if stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = stdin.readline(passwords.MAX_PASSWORD_BYTES + 2).rstrip("\r\n")
    if not password:
        _stop(["the password is empty"])
    if len(password.encode()) > passwords.MAX_PASSWORD_BYTES:
        _stop([f"the password is longer than {passwords.MAX_PASSWORD_BYTES} bytes"])
    click.echo(passwords.hash_password(password))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter("write it as 'name: value'", param_hint="--header")
    return name.strip(), value.strip()


def _read(config_path: Path | None, app_dir: Path, *, is_all: bool = False) -> Config:
    """The configuration, or the end: every mistake on a line of its own."""
    with _told():
        return read_config(config_path, app_dir, is_all=is_all)


@contextmanager
def _told() -> Iterator[None]:
    """What is wrong with the configuration or its store ends the command."""
    try:
        yield
    except ConfigErrors as errors:
        _stop([str(error) for error in errors.errors])
    except StoreError as error:
        _stop([f"store: {error}"])
    except OSError as error:
        _stop([f"{error.filename}: {error.strerror}"])


def _stop(reasons: Sequence[str]) -> NoReturn:
    for reason in reasons:
        click.echo(reason, err=True)
    sys.exit(WRONG)
