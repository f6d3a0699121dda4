"""Image data sets as numpy arrays."""

from experiments.data.images import Binarisation as Binarisation
from experiments.data.images import binarise as binarise
from experiments.data.images import load_mnist as load_mnist
