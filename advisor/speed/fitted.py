"""What tests/benchmarks/fit_speed.py found on 2026-11-21 in 928 runs: its file.

How far off decoding and prompts are is the median of devices held back from the fit.
"""

from __future__ import annotations

from typing import Final

from advisor.speed.constants import Constants
from advisor.speed.rates import Band, CoreRates, Rates

FITTED: Final = Constants(
    rates={
        "nvidia": Rates(0.778, 3.10e11, 4.35e-05, 0.0, 0.39),  # no runs
        "nvidia 6.0": Rates(0.321, 3.10e11, 4.35e-05, 0.0, 0.547),  # 2 runs: 3% off, prompts 2%
        "nvidia 6.1": Rates(0.565, 3.10e11, 4.35e-05, 0.0, None),  # 9 runs: 6% off, prompts 0%
        "nvidia 7.5": Rates(0.698, 3.10e11, 4.35e-05, 0.0, 0.366),  # 47 runs: 13% off, prompts 18%
        "nvidia 8.0": Rates(0.491, 3.10e11, 4.35e-05, 0.0, 0.301),  # 66 runs: 14% off, prompts 29%
        "nvidia 8.6": Rates(0.802, 3.10e11, 4.35e-05, 0.0, 0.451),  # 119 runs: 5% off, prompts 11%
        "nvidia 8.9": Rates(0.889, 3.10e11, 4.35e-05, 0.0, 0.403),  # 155 runs: 4% off, prompts 32%
        "nvidia 9.0": Rates(0.553, 3.10e11, 4.35e-05, 0.0, 0.181),  # 28 runs: 8% off, prompts 18%
        "nvidia 12.0": Rates(0.875, 3.10e11, 4.35e-05, 0.0, 0.515),  # 37 runs: 8% off, prompts 13%
        "nvidia unified": Rates(0.669, 3.10e11, 4.35e-05, 0.0, 0.563),  # 27 runs: 4% off, prompts 9%
        "amd": Rates(0.777, None, 4.98e-05, 7.71e-04, 0.424),  # 14 runs: 5% off, prompts 11%
        "amd vulkan": Rates(0.925, None, 6.20e-05, 7.71e-04, 0.389),  # 49 runs: 9% off, prompts 44%
        "amd unified": Rates(0.856, None, 1.55e-04, 7.71e-04, 0.369),  # 94 runs: 5% off, prompts 16%
        "amd unified vulkan": Rates(0.887, None, 1.34e-04, 7.71e-04, 0.224),  # 85 runs: 7% off, prompts 33%
        "apple": Rates(0.899, 9.41e10, 1.47e-04, 0.0, 0.757),  # 104 runs: 6% off, prompts 9%
        "mlx": Rates(0.875, None, 6.88e-05, 5.00e-04, 1.451),  # 34 runs: 5% off, prompts 65%
        "intel": Rates(0.589, None, 8.00e-05, 1.50e-03, 0.359),  # 8 runs: 23% off, prompts 23%
        "cpu": Rates(0.658, None, 2.30e-04, 0.0, None),  # 34 runs: 21% off, prompts 17%
        "cpu measured": Rates(0.970, None, 2.30e-04, 0.0, None),  # 16 runs: 16% off, prompts 49%
    },
    kernels={
        "16 bit": 1.011,
        "8 bit": 1.031,
        "5 and 6 bit": 0.988,
        "4 bit": 1.052,
        "K": 1.000,
        "IQ4": 1.000,
        "IQ": 1.000,
    },
    cores={
        "16 bit": CoreRates(3.20e10, 7.76e10),
        "8 bit": CoreRates(4.75e10, 7.44e10),
        "5 and 6 bit": CoreRates(5.49e10, 1.09e11),
        "4 bit": CoreRates(9.59e10, 1.49e11),
        "K": CoreRates(7.93e10, 9.79e10),
        "IQ4": CoreRates(6.65e10, 1.52e11),
        "IQ": CoreRates(4.15e10, 4.24e10),
    },
    plain_core=CoreRates(0.80, 0.89),
    wide_prefill=2.68,
    core_cache=1.67e09,
    sockets_share=0.172,
    attention_prefill=3.458,
    experts_prefill=0.263,
    pipeline_share=0.661,
    boundary_s=4.05e-04,
    sequence_share=0.06,
    bands={
        "one NVIDIA GPU": Band(0.82, 1.16, 281, 57),
        "mixtures of experts on one GPU": Band(0.72, 1.15, 153, 12),
        "several GPUs": Band(0.75, 1.10, 186, 10),
        "AMD GPUs": Band(0.88, 1.34, 115, 12),
        "Apple GPUs": Band(0.85, 1.15, 126, 15),
        "other GPUs": Band(0.47, 1.48, 8, 7),
        "CPUs": Band(0.53, 1.56, 50, 12),
        "GPU and CPU together": Band(0.67, 1.30, 9, 1),
    },
    measured_bandwidth=2_039_000_000_000,
)
