"""What is expected of the atlas, declared before its first run at `laptop`."""

from collections.abc import Mapping, Sequence

from experiments.studies.atlas.quantities import LogRatio, Share
from experiments.studies.figures.predictions import Prediction

_LOO = "ScoreFunction[LeaveOneOut[2]]"
_LOO4 = "ScoreFunction[LeaveOneOut[4]]"

_LAPTOP = (
    Prediction(
        "leave-one-out over 4 samples has less error than no baseline (mean log ratio)",
        "Kool et al. 2019",
        LogRatio(_LOO4, "ScoreFunction"),
        high=0.0,
    ),
    Prediction(
        "DisARM varies less than leave-one-out over 2 (mean log ratio of variances)",
        "Dong et al. 2020, arXiv:2006.10680",
        LogRatio("DisARM", _LOO, "variance"),
        high=0.0,
    ),
    Prediction(
        "DisARM varies less than ARM (mean log ratio of variances)",
        "Dong et al. 2020, arXiv:2006.10680: it is ARM's conditional mean",
        LogRatio("DisARM", "ARM", "variance"),
        high=0.0,
    ),
    Prediction(
        "ARMS with 4 samples has less error than DisARM",
        "Dimitriev and Zhou 2021, arXiv:2105.14141",
        LogRatio("ARMS[4]", "DisARM"),
        high=0.0,
    ),
    Prediction(
        "REBAR varies less than NVIL (mean log ratio of variances)",
        "Tucker et al. 2017, arXiv:1703.07370",
        LogRatio("REBAR[0.5]", "ScoreFunction[NVIL]", "variance"),
        high=0.0,
    ),
    Prediction(
        "REBAR has no less error at equal cost than DisARM: it takes three evaluations and more",
        "ours, after Dong et al. 2020",
        LogRatio("REBAR[0.5]", "DisARM"),
        low=0.0,
    ),
    Prediction(
        "RELAX varies less than MuProp (mean log ratio of variances)",
        "Grathwohl et al. 2018, arXiv:1711.00123",
        LogRatio("RELAX", "MuProp", "variance"),
        high=0.0,
    ),
    Prediction(
        "local expectation is within 2 of the best one without bias on most problems",
        "Titsias and Lazaro-Gredilla 2015",
        Share("LocalExpectation", 2.0, of_kind=True),
        low=0.5,
    ),
    Prediction(
        "ReinMax has less error than straight-through",
        "Liu et al. 2023, arXiv:2304.08612",
        LogRatio("ReinMax", "StraightThrough"),
        high=0.0,
    ),
    Prediction(
        "Gumbel-Rao has less error than straight-through Gumbel-softmax, both at 0.5",
        "Paulus et al. 2021, arXiv:2010.04838",
        LogRatio("GumbelRao[0.5]", "StraightThroughGumbelSoftmax[0.5]"),
        high=0.0,
    ),
    Prediction(
        "Gumbel-softmax at 1 varies less than at 0.5 (mean log ratio of variances)",
        "Jang et al. 2017, arXiv:1611.01144",
        LogRatio("GumbelSoftmax[1.0]", "GumbelSoftmax[0.5]", "variance"),
        high=0.0,
    ),
    Prediction(
        "Gumbel-softmax at 1 has more error than at 0.5: at this budget bias decides",
        "ours",
        LogRatio("GumbelSoftmax[1.0]", "GumbelSoftmax[0.5]"),
        low=0.0,
    ),
    Prediction(
        "subsets: SIMPLE has less error than implicit MLE",
        "Ahmed et al. 2023, arXiv:2210.01941",
        LogRatio("SIMPLE", "ImplicitMLE", law="Subset"),
        high=0.0,
    ),
    Prediction(
        "straight-through is within 2 of the best on less than half of the problems",
        "ours: its bias does not fall with the budget",
        Share("StraightThrough", 2.0),
        high=0.5,
    ),
    Prediction(
        "before training, the best estimator with a bias has less error than the best without",
        "ours",
        LogRatio("biased", "unbiased", trained=False),
        high=0.0,
    ),
    Prediction(
        "taking every law is not enough: leave-one-out over 4 is within 2 of the best on less than "
        "half of the problems",
        "ours",
        Share(_LOO4, 2.0),
        high=0.5,
    ),
    Prediction(
        "leave-one-out over 4 is within 10 of the best one without bias on at least 70 % of the "
        "problems",
        "ours",
        Share(_LOO4, 10.0, of_kind=True),
        low=0.7,
    ),
)

PREDICTIONS: Mapping[str, Sequence[Prediction]] = {"smoke": (), "laptop": _LAPTOP}
"""The predictions of each scale, decided by its cells."""
