from __future__ import annotations

from pathlib import Path

import pytest

from bifrost.config.document import MAX_BYTES
from bifrost.config.faults import ConfigErrors
from bifrost.config_file import default_app_dir, find_config, read_config


def test_the_named_file_is_read_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("client: {max_inflight: 1}")
    named = tmp_path / "other.json"
    named.write_text('{"client": {"max_inflight": 2}}')

    assert read_config(named, tmp_path, {}).client.max_inflight == 2
    assert read_config(None, tmp_path, {}).client.max_inflight == 1


def test_a_file_is_looked_for_in_the_app_dir_by_three_names(tmp_path: Path) -> None:
    assert find_config(None, tmp_path) is None
    for name in ("config.json", "config.yml", "config.yaml"):
        (tmp_path / name).write_text("")
        assert find_config(None, tmp_path) == tmp_path / name


def test_without_a_file_the_environment_gives_providers(tmp_path: Path) -> None:
    assert list(read_config(None, tmp_path, {"OPENAI_API_KEY": "k"}).providers) == ["openai"]


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_config(tmp_path / "none.yaml", tmp_path, {})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a: \xff", "bytes that are no UTF-8, at offset 3"),
        (b"a" * (MAX_BYTES + 10), "more than 10 MiB"),
        ("ä".encode() * MAX_BYTES, "more than 10 MiB"),
        (b"a" + "€".encode() * MAX_BYTES, "more than 10 MiB"),
    ],
    ids=["latin", "large", "wide", "cut"],
)
def test_what_is_no_text_or_too_large_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(data)

    with pytest.raises(ConfigErrors, match=words):
        read_config(path, tmp_path, {})


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbfclient: {max_inflight: 3}")

    assert read_config(path, tmp_path, {}).client.max_inflight == 3


def test_the_app_dir_is_in_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")

    assert default_app_dir() == Path("/home/somebody/.config/bifrost")


def test_without_a_home_the_app_dir_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home directory")

    monkeypatch.setattr(Path, "home", homeless)

    assert default_app_dir() == Path("bifrost-data")
