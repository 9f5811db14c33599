"""SIGKILL in the middle of a thousand jobs, twice: none is lost, and none is begun a second time."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import apsw
import pytest

from bifrost.codecs.json import loads

COUNT = 1000
VICTIM = Path(__file__).with_name("victim.py")


def live(database: Path, add: int, kill_after: int | None) -> list[list[str]]:
    """What a process said until it had begun so many jobs and was killed, or until it ended by itself."""
    command = [sys.executable, str(VICTIM), str(database), str(add)]
    said: list[list[str]] = []
    began = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said.append(line.split())
                began += said[-1][0] == "began"
                if began == kill_after:
                    process.kill()
        finally:
            process.kill()
    assert process.returncode == (0 if kill_after is None else -signal.SIGKILL)
    return said


@pytest.mark.system
def test_no_job_is_lost_and_none_is_run_twice(tmp_path: Path) -> None:
    database = tmp_path / "logs.db"

    first = live(database, add=COUNT, kill_after=300)
    second = live(database, add=0, kill_after=200)
    last = live(database, add=0, kill_after=None)

    said = Counter(tuple(words) for words in [*first, *second, *last])
    names = {f"r-{n}" for n in range(COUNT)}
    assert {words[1] for words in said if words[0] == "added"} == names
    assert {words[0] for words in said} == {"added", "began"}
    assert set(said.values()) == {1}
    connection = apsw.Connection(str(database))
    rows = connection.execute("SELECT request_id, status, response, error FROM async_jobs")
    ends = {str(name): (status, response, error) for name, status, response, error in rows}
    assert ends.keys() == names
    failed = {name: error for name, (status, _, error) in ends.items() if status == "failed"}
    assert 0 < len(failed) <= 40
    assert {loads(error)["error"]["message"] for error in failed.values()} == {
        "gateway stopped before the job had finished"
    }
    done = {name: response for name, (_, response, _) in ends.items() if name not in failed}
    assert done == {name: name.encode() for name in done}
    assert done.keys() <= {words[1] for words in said if words[0] == "began"}
    connection.close()
