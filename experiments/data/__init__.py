"""Image data sets as numpy arrays."""

from experiments.data.binarisation import Binarisation as Binarisation
from experiments.data.binarisation import describe as describe
from experiments.data.binarisation import pixels as pixels
from experiments.data.datasets import SOURCES as SOURCES
from experiments.data.datasets import load as load
from experiments.data.datasets import load_part as load_part
from experiments.data.errors import DataError as DataError
from experiments.data.fetch import bring as bring
from experiments.data.fetch import use_folder as use_folder
from experiments.data.images import Dataset as Dataset
from experiments.data.images import Images as Images
from experiments.data.images import Part as Part
from experiments.data.images import Split as Split
