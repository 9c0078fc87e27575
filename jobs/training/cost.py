"""What training takes in memory and floating-point operations.

Operations are counted over one forward pass of one micro-batch in training mode, fused attention included, times
three: a backward pass does each product twice. Causal attention counts as if it were full, as is usual.
"""

import resource
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from jobs import randomness
from jobs.api import Task


def peak_bytes(device: torch.device) -> int:
    """The most memory this process has held so far: on its GPU, or resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def step_flops(task: Task, model: nn.Module, global_batch: int) -> int:
    """Floating-point operations of a training step over the whole global batch; leaves the random streams as they are.

    A multiplication and an addition count as two.
    """
    few = min(global_batch, 2)
    before, training = randomness.state(), model.training
    counter = FlopCounterMode(display=False, custom_mapping=_FORMULAS)
    model.train()
    with torch.no_grad(), counter:
        task.loss(model, task.batch([(0, index % task.samples()) for index in range(few)]))
    model.train(training)
    randomness.restore(before)
    return round(3 * counter.get_total_flops() * (1 if task.full_batch else global_batch / few))


def _attention(q: Any, k: Any, v: Any, *rest: Any, out_shape: Any = None, **named: Any) -> int:
    """The fused CPU kernel's, which torch's table lacks; shapes come in the place of tensors."""
    return int(sdpa_flop_count(q, k, v))


_FORMULAS = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
