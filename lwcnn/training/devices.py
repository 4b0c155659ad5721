"""Precision and devices of training."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from lwcnn.system import environment
from lwcnn.system.errors import wrong
from lwcnn.system.settings import added_later

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@dataclass(frozen=True)
class Computing:
    """Precision and devices of training. Values other than the defaults are part of results and cache keys."""

    precision: str = added_later("float32")  # a Keras dtype policy; weights, logits and losses are float32 in all
    devices: int = added_later(1)  # each batch is split equally among them

    def require_possible(self) -> None:
        """Checks that this machine supports these settings; precisions that a CPU would emulate are refused."""
        has_units = self.precision == "mixed_bfloat16" and environment.has_bfloat16_units()
        if not (self.precision == "float32" or has_units or environment.accelerator()):
            raise wrong(
                "Mixed precision needs an accelerator, or a CPU with bfloat16 units (AVX512_BF16, AMX) and "
                "mixed_bfloat16: other CPUs emulate it and train several times slower than in float32. Omit "
                "--precision",
                f"{self.precision} on {environment.device_name()}",
            )
        self._require_devices()

    def _require_devices(self) -> None:
        if self.devices == 1:
            return
        import keras

        if keras.backend.backend() != "jax":
            raise wrong("Several devices need KERAS_BACKEND=jax", f"{self.devices} on {keras.backend.backend()}")
        found = len(keras.distribution.list_devices())
        if self.devices > found:
            raise wrong(f"There are {found} devices on this machine", self.devices)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Context in which models are built and trained with these settings.

        Models that outlive it must be built outside it.
        """
        import keras

        self._require_devices()
        with contextlib.ExitStack() as afterwards:
            afterwards.callback(keras.config.set_dtype_policy, keras.config.dtype_policy())
            keras.config.set_dtype_policy(self.precision)
            if self.devices > 1:
                afterwards.callback(keras.distribution.set_distribution, keras.distribution.distribution())
                devices = keras.distribution.list_devices()[: self.devices]
                keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
            yield
