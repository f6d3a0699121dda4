"""What tests of results share."""

from experiments.running.identity import environment
from experiments.running.results import Results
from experiments.system.folder import Folder

ROW = {"estimator": "Exact", "metric": "variance", "value": 0.0}
CONFIGURATION = {"study": "a study of tests", "seed": 0}


def opened(path, configuration=CONFIGURATION):
    return Results.open(Folder(path), configuration, environment())
