"""How texts are encoded: options that travel whole from the command line to the encoder and into the record."""

from dataclasses import dataclass

from embedlab.errors import UserError, unknown

STORE_DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class EncodingOptions:
    """How a model's vectors are made and kept.

    Args:
        store_dtype: dtype of dense vectors on disk, out of `STORE_DTYPES`.
        batch_tokens: tokens (with padding) that go through the model at once; None decides by the device.
        workers: copies of the model that encode side by side; None decides by the hardware (`hardware.devices`).
        compiled: let torch compile the model's layers at the first batch.

    Raises:
        UserError: an unknown dtype, or a number below 1.
    """

    store_dtype: str = "float32"
    batch_tokens: int | None = None
    workers: int | None = None
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.store_dtype not in STORE_DTYPES:
            raise unknown("--store-dtype", self.store_dtype, STORE_DTYPES, f"Valid: {', '.join(STORE_DTYPES)}.")
        for option, value in (("--batch-tokens", self.batch_tokens), ("--workers", self.workers)):
            if value is not None and value < 1:
                raise UserError(f"{option} {value}: there is no such number.", f"{option} takes 1 or more.")
