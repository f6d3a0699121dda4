"""Training: runs as pure functions, batches of them, their optimisers and checkpoints."""

from experiments.training.run import train as train
from experiments.training.tuning import is_tuned as is_tuned
from experiments.training.tuning import tuner as tuner
from experiments.training.tuning import with_tuner as with_tuner
