"""Asynchronous jobs: a request is accepted and not yet done; the client asks for its outcome by a handle."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from urllib.parse import urlsplit

from inspector.annotations.findings.finding import milliseconds
from inspector.annotations.heads import body, head, prepare
from inspector.annotations.patterns.pattern import ASYNC_JOB, Confidence, Pattern, Scene, cost, pattern
from inspector.core.text import counted
from inspector.streams.exchanges import Exchange

ACCEPTED, CREATED, OK = 202, 201, 200
MAX_JOBS = 500  # answers that are looked into for a handle
POLLED = 3  # times that what a 201 names is asked for, before it is called a job
ASKS = ("POST", "PUT", "PATCH", "DELETE")
_OBJECT = re.compile(rb"\{.*\}", re.DOTALL)
HANDLES = frozenset({
    "id", "job", "jobid", "job_id", "taskid", "task_id", "task", "handle", "operation", "operationid", "location", "href",
    "url", "status_url", "statusurl", "self",
})  # fmt: skip


def jobs(scene: Scene) -> Iterator[tuple[Pattern, list[Exchange]]]:
    """Each kind of job with the exchanges that it is made of."""
    asked = [one for one in scene.exchanges if one.method in ASKS and one.status in (ACCEPTED, CREATED, OK)]
    asked = sorted(asked, key=lambda one: one.status != ACCEPTED)[:MAX_JOBS]
    if not asked:
        return
    prepare(scene.capture, asked)
    polls: dict[tuple[bytes, str], list[Exchange]] = {}
    segments: dict[tuple[bytes, str], list[Exchange]] = {}
    for one in scene.exchanges:
        if one.method == "GET":
            client, path = scene.server(one)[0], urlsplit(one.target).path
            polls.setdefault((client, path), []).append(one)
            for segment in set(path.split("/")) | {value.partition("=")[2] for value in urlsplit(one.target).query.split("&")}:
                if segment:
                    segments.setdefault((client, segment), []).append(one)
    found: dict[tuple[object, ...], list[tuple[Exchange, list[Exchange], str]]] = {}
    for job in asked:
        client = scene.server(job)[0]
        how, later = "Location", []
        place = _location(scene, job)
        if place:
            later = polls.get((client, place), [])
        if not later and job.status != OK:
            how = "the id in its body"
            later = next((segments[client, handle] for handle in _handles(scene, job) if (client, handle) in segments), [])
        later = [one for one in later if one.begun >= job.ended]
        if later and (job.status == ACCEPTED or (len(later) >= POLLED and _changes(scene, later))):
            found.setdefault((*scene.server(job), job.method, job.target.partition("?")[0]), []).append((job, later, how))
    for own in found.values():
        yield _job(own)


def _job(own: Sequence[tuple[Exchange, list[Exchange], str]]) -> tuple[Pattern, list[Exchange]]:
    job, _, how = own[0]
    every = [one for asked, polls, _ in own for one in (asked, *polls)]
    count = sum(len(polls) for _, polls, _ in own)
    accepted = job.status == ACCEPTED
    evidence = [
        "202 Accepted: the server has not done it yet (RFC 9110, 15.3.3)" if accepted else f"{job.status} names what it made",
        f"{how} leads to what the client asked for {count} times afterwards",
    ]
    counter = [] if accepted else [f"{job.status} is also the answer to what is done at once"]
    longest = max(polls[-1].ended - asked.begun for asked, polls, _ in own)
    evidence.append(f"from the request to the last answer: {milliseconds(longest)}")
    gaps = [second.begun - first.begun for _, polls, _ in own for first, second in pairwise(polls)]
    instead = f"a call back, or an event stream: {counted(len(own), 'request')} for the work, and none to ask for its state"
    wasted = (count - len(own)) / count if count else None
    paid = cost(every, wasted, max(gaps) if gaps else None, instead)
    sure = Confidence.HIGH if accepted else Confidence.MEDIUM
    return pattern(ASYNC_JOB, sure, every, evidence, counter, paid), every


def _location(scene: Scene, job: Exchange) -> str:
    found = head(scene.capture, job, True)
    place = (found.get("location") or found.get("operation-location") or "") if found is not None else ""
    try:
        return urlsplit(place).path
    except ValueError:
        return ""


def _handles(scene: Scene, job: Exchange) -> list[str]:
    """What a JSON answer names as its handle: an id, or the last part of a link."""
    object_ = _OBJECT.search(body(scene.capture, job, True))
    try:
        said = json.loads(object_.group()) if object_ is not None else None
    except (ValueError, RecursionError):
        return []
    if not isinstance(said, dict):
        return []
    texts = [str(value) for name, value in said.items() if str(name).lower() in HANDLES and isinstance(value, str | int)]
    return [text.rstrip("/").rpartition("/")[2] for text in texts if text.strip("/")]


def _changes(scene: Scene, later: Sequence[Exchange]) -> bool:
    """The last answer is another than the first."""
    prepare(scene.capture, (later[0], later[-1]))
    return later[0].status != later[-1].status or body(scene.capture, later[0], True) != body(scene.capture, later[-1], True)
