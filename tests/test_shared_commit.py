"""Which requests share a commit: as many as are there, more where many come, and none waits for others that may never come."""

import threading
import time
from types import SimpleNamespace

import pytest

from ingestion import commit

FOREVER = 60.0
_MANY = commit._MANY_TOGETHER


@pytest.fixture
def gathering():
    return commit._Gathering()


def wait_with(gathering, number: int, events: int = 1) -> list[commit._Waiting]:
    made = [commit._Waiting(SimpleNamespace(entries=[None] * events)) for _ in range(number)]
    for one in made:
        gathering.add(one, was_reading=False)
    return made


def soon(gathering, seconds: float = FOREVER) -> "tuple[threading.Thread, list]":
    """Take in a thread; what it took."""
    took: list = []
    thread = threading.Thread(target=lambda: took.extend(gathering.take(seconds)), daemon=True)
    thread.start()
    return thread, took


def test_alone_a_request_waits_for_none(gathering):
    [one] = wait_with(gathering, 1)
    assert gathering.take(FOREVER) == [one]


def test_after_many_the_next_commit_waits_for_as_many(gathering):
    wait_with(gathering, _MANY)
    gathering.take(0)
    thread, took = soon(gathering)
    made = wait_with(gathering, _MANY - 1)
    thread.join(0.05)
    assert took == []
    made += wait_with(gathering, 1)
    thread.join(FOREVER)
    assert took == made


def test_after_many_it_waits_no_longer_than_the_last_one_took(gathering):
    wait_with(gathering, _MANY)
    gathering.take(0)
    made = wait_with(gathering, 1)
    assert gathering.take(0.01) == made
    # Nobody came, so nobody is waited for again.
    made = wait_with(gathering, 1)
    assert gathering.take(FOREVER) == made


def test_after_few_none_is_waited_for(gathering):
    wait_with(gathering, _MANY - 1)
    gathering.take(0)
    [one] = wait_with(gathering, 1)
    assert gathering.take(FOREVER) == [one]


def test_so_many_events_are_enough_and_the_rest_is_for_the_next(gathering):
    made = wait_with(gathering, 7, events=100)
    assert gathering.take(FOREVER) == made[:5]
    assert gathering.take(FOREVER) == made[5:]


def test_no_commit_is_for_more_than_the_most(gathering):
    made = wait_with(gathering, commit._MOST_TOGETHER + 3)
    assert gathering.take(0) == made[:-3]
    assert gathering.take(0) == made[-3:]


def test_a_request_being_read_is_waited_for_a_moment_only(gathering):
    gathering.count_reading(1)
    made = wait_with(gathering, 1)
    began = time.monotonic()
    assert gathering.take(FOREVER) == made
    assert time.monotonic() - began < FOREVER / 2


def test_a_request_that_was_refused_while_it_was_read_is_no_longer_waited_for(monkeypatch):
    monkeypatch.setattr(commit, "_gathering", commit._Gathering())
    with pytest.raises(KeyError), commit.coming():
        raise KeyError
    assert commit._gathering._reading == 0


def test_a_stored_request_counts_as_read_once(monkeypatch):
    monkeypatch.setattr(commit, "_gathering", commit._Gathering())
    monkeypatch.setattr(commit, "_ensure_thread", lambda *_: None)

    def answer() -> None:
        for one in commit._gathering.take(0):
            one.done.release()

    threading.Timer(0.01, answer).start()
    with commit.coming():
        commit.store_together(SimpleNamespace(entries=[None]))
        assert commit._gathering._reading == 0
    assert commit._gathering._reading == 0
