"""A process that runs jobs until it is killed: ``victim.py DATABASE COUNT`` adds so many first, then runs what there is.

Says ``added NAME`` and ``began NAME`` as it happens, without a buffer, so that what it said outlives it.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from pathlib import Path

import trio

from bifrost.config.settings import ClientSettings
from bifrost.jobs.room import Jobs, JobWatch
from bifrost.schema.job import JobRequest, JobResult
from bifrost.store.sqlite import SqliteFile
from bifrost.store.sqlite_jobs import SqliteJobStore

WORK_S = 0.003


def say(what: str, name: str) -> None:
    os.write(1, f"{what} {name}\n".encode())


async def main(path: Path, count: int) -> None:
    file = SqliteFile(path)
    all_added = trio.Event()

    async def work(request: JobRequest) -> JobResult:
        await all_added.wait()
        say("began", request.request_id)
        await trio.sleep(WORK_S)
        return JobResult(status=200, body=request.body)

    jobs = Jobs(
        store=SqliteJobStore(file),
        work=work,
        client=ClientSettings(async_job_concurrency=20),
        watch=JobWatch(
            on_defect=lambda error, _: say("defect", repr(error)),
            on_trouble=lambda doing, error: say("trouble", f"{doing} {error}"),
            on_lost=lambda job_id: say("lost", job_id),
        ),
        wall=time.time,
        new_id=lambda: str(uuid.uuid4()),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(jobs.run)
        for n in range(count):
            name = f"r-{n}"
            await jobs.submit(
                JobRequest(
                    request_id=name, operation="chat_completion", route="/r", body=name.encode()
                )
            )
            say("added", name)
        all_added.set()
        while (await jobs.store.counts()).open_jobs:
            await trio.sleep(0.02)
        jobs.close()
    await file.aclose()


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
