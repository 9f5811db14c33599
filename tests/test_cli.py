from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner, Result

from bifrost.cli import Actions, main
from bifrost.config.options import ServeOptions
from bifrost.config.settings import Config
from bifrost.explain import Explanation

GOOD = "providers: {mock: {}, openai: {keys: [{name: a, value: env.NOT_SET_ANYWHERE}]}}"


@attrs.define
class Stage:
    """Runs commands with actions that note what they were asked for."""

    folder: Path
    served: list[ServeOptions] = attrs.field(factory=list)
    explained: list[tuple[Config, str, Sequence[tuple[str, str]]]] = attrs.field(factory=list)
    status: int = 0

    def serve(self, options: ServeOptions) -> int:
        self.served.append(options)
        return self.status

    def explain(self, config: Config, model: str, headers: Sequence[tuple[str, str]]) -> Explanation:  # fmt: skip
        self.explained.append((config, model, headers))
        return Explanation(("said",), is_served=self.status == 0)

    def run(self, *arguments: str, config: str | None = GOOD, **env: str) -> Result:
        if config is not None:
            (self.folder / "config.yaml").write_text(config)
        plain = {
            "BIFROST_HOST": "",
            "APP_HOST": "",
            "APP_PORT": "",
            "LOG_LEVEL": "",
            "LOG_STYLE": "",
        }
        return CliRunner().invoke(
            main,
            arguments,
            obj=Actions(self.serve, self.explain),
            env=plain | {"APP_DIR": str(self.folder)} | env,
        )


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_serve_hands_over_its_options(stage: Stage) -> None:
    result = stage.run("serve", "--port", "0", "--log-level", "DEBUG", "--log-style", "pretty")

    assert result.exit_code == 0, result.output
    assert stage.served == [
        ServeOptions(app_dir=stage.folder, port=0, log_level="debug", log_style="pretty")
    ]


def test_serve_ends_with_the_gateway_s_status(stage: Stage) -> None:
    stage.status = 1

    assert stage.run("serve").exit_code == 1


def test_long_options_have_one_dash_too(stage: Stage) -> None:
    other = stage.folder / "other.yaml"
    other.write_text("")

    stage.run(
        "serve", "-config", str(other), "-host", "::1", "-port", "1", "-app-dir", "x", "-log-level", "warn",
        "-log-style", "json", "-workers", "1", "-insecure",
    )  # fmt: skip

    assert stage.served == [
        ServeOptions(
            config_path=other,
            host="::1",
            port=1,
            app_dir=Path("x"),
            log_level="warn",
            log_style="json",
            insecure=True,
        )
    ]


def test_the_environment_speaks_where_the_command_line_is_silent(stage: Stage) -> None:
    stage.run("serve", APP_HOST="127.0.0.2", APP_PORT="81", LOG_LEVEL="error", LOG_STYLE="pretty")
    stage.run("serve", "--host", "127.0.0.1", BIFROST_HOST="127.0.0.3")
    stage.run("serve", BIFROST_HOST="127.0.0.3", APP_HOST="127.0.0.2")

    assert [options.host for options in stage.served] == ["127.0.0.2", "127.0.0.1", "127.0.0.3"]
    assert (stage.served[0].port, stage.served[0].log_level, stage.served[0].log_style) == (
        81,
        "error",
        "pretty",
    )


@pytest.mark.parametrize(
    ("arguments", "config", "words"),
    [
        (["--workers", "2"], GOOD, "only 1 is served yet"),
        (["--host", "0.0.0.0"], GOOD, "reachable from other machines"),
        (
            [],
            "saml_config: {enabled: true}",
            "saml_config.enabled: asked for, but not built",
        ),
        (
            [],
            "clients: {}",
            'clients: found an unknown key; allowed: a known key (did you mean "client"?)',
        ),
        (["--config", "/nowhere/at/all.yaml"], GOOD, "/nowhere/at/all.yaml: No such file"),
    ],
)
def test_serve_refuses_with_status_2_and_says_why(
    stage: Stage, arguments: list[str], config: str, words: str
) -> None:
    result = stage.run("serve", *arguments, config=config)

    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""
    assert stage.served == []


def test_insecure_serves_what_would_be_refused(stage: Stage) -> None:
    result = stage.run(
        "serve",
        "--host",
        "0.0.0.0",
        "--insecure",
        config="saml_config: {enabled: true}",
    )

    assert result.exit_code == 0
    assert len(stage.served) == 1


def test_check_config_says_in_one_line_that_all_is_good(stage: Stage) -> None:
    result = stage.run("check-config", config="providers: {mock: {}}")

    assert result.exit_code == 0
    assert result.stdout == f"{stage.folder}/config.yaml: good; providers: mock; keys: 0\n"
    assert result.stderr == ""


def test_check_config_warns_on_stderr(stage: Stage) -> None:
    result = stage.run(
        "check-config",
        config=GOOD + "\nmcp: {tool_sync_interval: 5}\nsaml_config: {enabled: true}",
    )

    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        'warning: providers.openai.keys[0] ("a"): NOT_SET_ANYWHERE is not set, so the key has no value',
        "warning: not built yet, so without effect: mcp, saml_config",
        "warning: saml_config.enabled: not built yet; serve refuses without --insecure",
    ]


def test_check_config_puts_every_mistake_on_its_own_line(stage: Stage) -> None:
    result = stage.run(
        "check-config", config="a: 1\nclient: {max_inflight: 0}\nproviders: {opnai: {}}"
    )

    assert result.exit_code == 2
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == [
        "a",
        "client.max_inflight",
        "providers.opnai",
    ]


def test_what_a_file_names_has_to_be_in_it_or_where_it_is_served_in_its_store(stage: Stage) -> None:
    models = f"{GOOD}\ngovernance: {{model_configs: [{{model_name: m, provider: opnai}}]}}"

    checked = stage.run("check-config", config=models)
    assert checked.exit_code == 2
    assert checked.stderr.startswith("governance.model_configs[0].provider: found 'opnai'")

    assert stage.run("serve", config=models).exit_code == 0
    assert stage.run("explain", "m", config=models).exit_code == 0
    without = f"{models}\nconfig_store: {{enabled: false}}"
    assert stage.run("serve", config=without).exit_code == 2


def test_check_config_without_a_file_looks_at_the_environment(stage: Stage) -> None:
    result = stage.run(
        "check-config", config=None, OPENAI_API_KEY="k", MISTRAL_API_KEY="", ANTHROPIC_API_KEY=""
    )

    assert "no file: good; providers: openai; keys: 1" in result.stdout


def test_explain_says_what_the_gateway_says(stage: Stage) -> None:
    result = stage.run("explain", "gpt-4o", "--header", "x-bf-api-key: a", "-header", "x: y:z")

    assert (result.exit_code, result.stdout) == (0, "said\n")
    ((config, model, headers),) = stage.explained
    assert (model, list(headers)) == ("gpt-4o", [("x-bf-api-key", "a"), ("x", "y:z")])
    assert "openai" in config.providers


def test_explain_fails_where_nobody_would_serve(stage: Stage) -> None:
    stage.status = 1

    result = stage.run("explain", "gpt-4o")

    assert (result.exit_code, result.stdout) == (1, "said\n")


@pytest.mark.parametrize("header", ["no colon", ": value"])
def test_explain_refuses_a_header_that_is_none(stage: Stage, header: str) -> None:
    result = stage.run("explain", "m", "--header", header)

    assert result.exit_code == 2
    assert "name: value" in result.stderr


def test_python_m_bifrost_is_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bifrost", "check-config", "--app-dir", str(tmp_path)],
        capture_output=True, text=True, check=False, env={"PATH": "", "HOME": str(tmp_path)},
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "no file: good; providers: none; keys: 0\n")


def test_explain_asks_the_gateway_itself_where_nothing_else_is_given(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("providers: {mock: {}}")

    result = CliRunner().invoke(main, ["explain", "mock/echo", "--config", str(path)])

    assert result.exit_code == 0, result.output
    assert "mock" in result.stdout
