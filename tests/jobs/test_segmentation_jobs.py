"""Segmentation jobs in processes of their own: killed, resumed, and tested on the weights they leave."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from jobs.contract import read_events
from jobs.tasks.segmentation import Segmentation
from jobs.training.run import build
from jobs.variants.neutreno import NeuTRENO
from tests.jobs import tiny
from tests.jobs.data.test_labelled import camvid
from tests.jobs.test_segmentation import TINY

ARGUMENTS = TINY | {"model": "upernet", "decoder_dropout": 0.1, "evaluate_every": 2, "multi_scale": True}


@pytest.mark.heavy
def test_two_processes_resume_to_the_same_numbers_and_test_the_last_weights(tmp_path: Path) -> None:
    """UPerNet: running statistics, which every process has of its own, are part of what is resumed and tested."""
    job = tiny.spec("segmentation", "neutreno", data="camvid", arguments=ARGUMENTS)
    launch = {"processes": 2, "checkpoint_s": 0.0, "data_root": str(camvid(tmp_path / "data", names="abc"))}
    undisturbed = tiny.place(tmp_path / "undisturbed", job, **launch)
    code, log, expected = tiny.finish(undisturbed, processes=2)
    assert code == 0 and expected is not None, log

    folder = tiny.place(tmp_path / "killed", job, **launch)
    process = tiny.start(folder, processes=2)
    tiny.wait_for(lambda: any(event["kind"] == "checkpoint" for event in events(folder)), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    tiny.place(folder.root, job, **launch)
    code, log, result = tiny.finish(folder, processes=2)
    assert code == 0 and result is not None, log
    assert result.numbers == expected.numbers

    assert [entry["step"] for entry in result.numbers["curve"]] == [2, 4, 6]
    assert not list(folder.checkpoints.glob("best-*"))
    task = Segmentation(**ARGUMENTS)
    task.load(job.data, job.split, tmp_path / "data", job.seed)
    model = build(task, NeuTRENO, 0)
    model.load_state_dict(torch.load(folder.checkpoints / "final.pt", weights_only=True)["model"])
    with torch.no_grad():
        again = task.evaluate(model.eval(), "test", lambda: None)
    assert {name: metric["value"] for name, metric in result.numbers["metrics"].items()} == again


def events(folder: Any) -> list[dict[str, Any]]:
    return [event for _, event in read_events(folder.attempt(1).events)]
