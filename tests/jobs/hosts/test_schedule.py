"""Schedules: the one by epoch is the rate that timm's scheduler gives in DeiT's loop."""

import pytest
import torch
from timm.scheduler.cosine_lr import CosineLRScheduler

from jobs.hosts.schedule import ByEpoch


def test_by_epoch_is_timms_scheduler_in_deits_loop() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    scheduler = CosineLRScheduler(optimizer, t_initial=300, lr_min=1e-5, warmup_t=5, warmup_lr_init=1e-6)
    ours = ByEpoch(warmup=5, first=1e-6 / 1e-3, last=1e-5 / 1e-3)
    for epoch in range(300):
        assert 1e-3 * ours.factor(epoch, 300) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        scheduler.step(epoch)


def test_the_last_epoch_ends_near_the_floor_and_stays_there() -> None:
    ours = ByEpoch(warmup=0, first=0.0, last=0.1)
    assert ours.factor(0, 10) == 1.0
    assert ours.factor(10, 10) < 0.13
    assert ours.factor(11, 10) == ours.factor(15, 10) == pytest.approx(0.1)
