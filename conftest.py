"""The environment of all tests, set before anything that reads it is imported."""

import os

# Settings of the user's that change numbers and pictures, or end other programs at their warnings,
# do not reach the tests, nor the processes that they start.
os.environ["JAX_ENABLE_X64"] = os.environ["JAX_DEBUG_NANS"] = os.environ["JAX_DISABLE_JIT"] = "0"
os.environ["MATPLOTLIBRC"], os.environ["MPLBACKEND"] = os.devnull, "agg"
os.environ["PYTHONWARNINGS"] = ""
os.environ["COLUMNS"] = "120"  # else tables are as wide as the terminal of whoever runs the tests

# Compiling is most of the time, also in processes that tests start, and XLA's newer emitters for a
# CPU take half as long again. A worker has one core, so a program split among threads takes longer.
# XLA and JAX read these as they start.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
_FLAGS = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ["XLA_FLAGS"] = f"{_FLAGS} {os.environ.get('XLA_FLAGS', '')}"
