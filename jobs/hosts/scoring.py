"""Top-1, top-5 and loss of a classifier over pictures that all processes of a job share out among themselves."""

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from jobs.data.images import Reading, Sample
from jobs.portion import Portion

_BATCH = 128


@dataclasses.dataclass(frozen=True)
class Scoring:
    """How a classifier (logits and penalty out) is scored: in which shares, read by how many processes each."""

    model: nn.Module
    portion: Portion
    workers: int
    beat: Callable[[], None]

    def scores(self, read: Callable[[int], Sample], count: int, among: Sequence[int] | None = None) -> dict[str, float]:
        """top1 and top5 in %, loss in nat over samples 0 to `count`, each counted once; known to all processes.

        Args:
            read: sample by number.
            count: how many there are.
            among: the classes that may be answered; None: all.
        """
        batches = [range(start, min(start + _BATCH, count)) for start in range(0, count, _BATCH)]
        device = next(self.model.parameters()).device
        sums = torch.zeros(3, dtype=torch.float64, device=device)
        for pictures, labels in Reading(read, self.portion.of(batches)).loaded(self.workers):
            logits = self.model(pictures.to(device, non_blocking=True))[0].float()
            sums += _sums(logits if among is None else _restricted(logits, among), labels.to(device))
            self.beat()
        top1, top5, loss = (self.portion.total(sums) / count).tolist()
        return {"top1": 100 * top1, "top5": 100 * top5, "loss": loss}


def _sums(logits: Tensor, labels: Tensor) -> Tensor:
    """Samples whose class is the best answer, among the best five, and the summed loss: (3,), float64."""
    hits = logits.topk(min(5, logits.shape[-1])).indices == labels[:, None]
    loss = cross_entropy(logits, labels, reduction="sum")
    return torch.stack([hits[:, 0].sum().double(), hits.any(-1).sum().double(), loss.double()])


def _restricted(logits: Tensor, among: Sequence[int]) -> Tensor:
    """The logits (B, classes), minus infinity outside `among`."""
    chosen = torch.tensor(among, device=logits.device)
    return torch.full_like(logits, -torch.inf).index_copy(1, chosen, logits[:, chosen])
