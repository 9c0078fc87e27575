"""What a job's events say about its life."""

import json
from pathlib import Path

from suite.running.vitals import Vitals

NEVER = {"start": 1e9, "build": 1e9, "train": 1e9, "evaluate": 1e9, "heartbeat": 1e9}


def written(path: Path, *events: dict[str, object]) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps({"time": number, **event}) + "\n" for number, event in enumerate(events))


def step(number: int, phase: str = "train") -> dict[str, object]:
    return {"kind": "step", "phase": phase, "step": number, "steps": 10, "loss": 0.5}


def test_phase_step_and_pace_follow_the_events(tmp_path: Path) -> None:
    vitals = Vitals(tmp_path / "events.jsonl")
    written(vitals.events, {"kind": "phase", "phase": "train"}, step(1), step(2), step(3))
    vitals.refresh()
    assert (vitals.phase, vitals.step, vitals.steps, vitals.loss) == ("train", 3, 10, 0.5)
    assert vitals.eta_s() == 7.0


def test_a_line_that_is_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    vitals = Vitals(tmp_path / "events.jsonl")
    written(vitals.events, {"kind": "phase", "phase": "train"}, step(1))
    line = json.dumps(step(2))
    with vitals.events.open("a") as file:
        file.write(line[:10])
    vitals.refresh()
    assert vitals.step == 1
    with vitals.events.open("a") as file:
        file.write(line[10:] + "\n")
    vitals.refresh()
    assert vitals.step == 2


def test_a_validation_is_a_heartbeat_but_no_change_of_phase(tmp_path: Path) -> None:
    vitals = Vitals(tmp_path / "events.jsonl")
    written(vitals.events, {"kind": "phase", "phase": "train"}, step(4))
    vitals.refresh()
    vitals._beat_since = vitals._phase_since = 0.0
    written(vitals.events, step(99, phase="evaluate"))
    vitals.refresh()
    assert (vitals.phase, vitals.step) == ("train", 4)
    assert vitals.overdue(NEVER | {"heartbeat": 60.0}) is None
    assert vitals.overdue(NEVER | {"train": 60.0}) is not None


def test_metrics_and_checkpoints_are_no_heartbeat(tmp_path: Path) -> None:
    vitals = Vitals(tmp_path / "events.jsonl")
    written(vitals.events, {"kind": "phase", "phase": "train"}, step(4))
    vitals.refresh()
    vitals._beat_since = 0.0
    written(vitals.events, {"kind": "metrics", "step": 4, "values": {"a": 1.0}}, {"kind": "checkpoint", "step": 4})
    vitals.refresh()
    overdue = vitals.overdue(NEVER | {"heartbeat": 60.0})
    assert overdue is not None
    assert overdue.failure == "hang"


def test_a_job_that_never_says_anything_overruns_the_limit_of_its_start(tmp_path: Path) -> None:
    vitals = Vitals(tmp_path / "events.jsonl")
    vitals._phase_since = 0.0
    vitals.refresh()
    overdue = vitals.overdue(NEVER | {"start": 60.0})
    assert overdue is not None
    assert (overdue.failure, overdue.reason) == ("timeout", "Phase 'start' took longer than its limit of 60 s.")


def test_resuming_is_no_progress_until_a_further_step_is_completed(tmp_path: Path) -> None:
    vitals = Vitals(tmp_path / "events.jsonl")
    written(vitals.events, {"kind": "phase", "phase": "train"}, {"kind": "resumed", "step": 7})
    vitals.refresh()
    assert (vitals.step, vitals.highest_step) == (7, 0)
