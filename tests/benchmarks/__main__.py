"""All benchmarks, as Markdown: `python -m tests.benchmarks > results/benchmarks.md` on a quiet machine."""

import torch

from tests.benchmarks import (
    attention,
    board,
    chance,
    classification,
    graph,
    models,
    planning,
    scheduling,
    segmentation,
    variants,
)


def main() -> None:
    torch.set_num_threads(1)
    print("# Benchmarks\n\nRatios measured side by side in one run by `python -m tests.benchmarks`.\n")
    modules = (attention, variants, models, classification, segmentation, graph, planning, scheduling, chance, board)
    for benchmark in modules:
        benchmark.main()


if __name__ == "__main__":
    main()
