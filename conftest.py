"""The environment of all tests, set before anything that reads it is imported."""

import os

# Settings of the user's that change numbers and pictures, or end other programs at their warnings,
# do not reach the tests, nor the processes that they start.
os.environ["JAX_ENABLE_X64"] = os.environ["JAX_DEBUG_NANS"] = os.environ["JAX_DISABLE_JIT"] = "0"
os.environ["MATPLOTLIBRC"], os.environ["MPLBACKEND"] = os.devnull, "agg"
os.environ["PYTHONWARNINGS"] = ""
os.environ["COLUMNS"] = "120"  # else tables are as wide as the terminal of whoever runs the tests

# Compiling is most of the time, also in processes that tests start, and XLA's newer emitters for a
# CPU take half as long again. XLA and JAX read these as they start.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
os.environ["XLA_FLAGS"] = f"--xla_cpu_use_fusion_emitters=false {os.environ.get('XLA_FLAGS', '')}"
