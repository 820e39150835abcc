"""Batches of texts that are about as long: without them,
half of what goes through a model is padding.
"""

from collections.abc import Iterator

import torch
from datasets import Dataset
from sentence_transformers.base.sampler import DefaultBatchSampler
from torch.utils.data import RandomSampler

POOL = 8  # batches whose rows are sorted together; the pools themselves are drawn at random


class SimilarLengths(DefaultBatchSampler):
    """Every row once per epoch, in batches of similar length;
    the pools' rows and the batches' order are random.

    Args:
        dataset: rows of texts; a row's length is the characters of its longest text.
        batch_size: rows per batch.
        drop_last: leave out the rows that fill no batch.
        generator: of the random numbers; `seed` and the epoch set it.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        drop_last: bool,
        valid_label_columns: list[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
    ):
        generator = generator or torch.Generator()
        self.random = generator
        super().__init__(
            RandomSampler(dataset, generator=generator),
            batch_size,
            drop_last,
            valid_label_columns,
            generator,
            seed,
        )
        texts = [name for name in dataset.column_names if name not in (valid_label_columns or ())]
        self.lengths = [
            max(map(len, row)) for row in zip(*(dataset[name] for name in texts), strict=True)
        ]

    def __iter__(self) -> Iterator[list[int]]:
        self.random.manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.lengths), generator=self.random).tolist()
        for start in range(0, len(order), POOL * self.batch_size):
            pool = sorted(
                order[start : start + POOL * self.batch_size], key=self.lengths.__getitem__
            )
            batches = [pool[i : i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
            for number in torch.randperm(len(batches), generator=self.random).tolist():
                if len(batches[number]) == self.batch_size or not self.drop_last:
                    yield batches[number]
