"""The papers that the estimators come from, and their BibTeX."""

import dataclasses
import re
import unicodedata
from collections.abc import Iterator

from estimators.core.part import Part

_MEETING = re.compile("Conference|Workshop|Symposium|Meeting|Advances in|Proceedings", re.I)
"""What the venue of an @inproceedings says; any other venue is a journal, or arXiv."""

_ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": "`",
    "\N{COMBINING ACUTE ACCENT}": "'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": "^",
    "\N{COMBINING TILDE}": "~",
    "\N{COMBINING MACRON}": "=",
    "\N{COMBINING BREVE}": "u ",
    "\N{COMBINING DOT ABOVE}": ".",
    "\N{COMBINING DIAERESIS}": '"',
    "\N{COMBINING RING ABOVE}": "r ",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": "H ",
    "\N{COMBINING CARON}": "v ",
    "\N{COMBINING CEDILLA}": "c ",
    "\N{COMBINING OGONEK}": "k ",
}
_LETTERS = {"ø": r"{\o}", "Ø": r"{\O}", "ł": r"{\l}", "Ł": r"{\L}", "ß": r"{\ss}"} | {
    character: "\\" + character for character in "&%$#_"
}


@dataclasses.dataclass(frozen=True)
class Paper:
    """One source: authors, title, year, where it appeared, and its arXiv number if it has one."""

    authors: str
    title: str
    year: int
    venue: str
    arxiv: str = ""

    @property
    def link(self) -> str:
        """Address of the paper, or an empty string."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else ""

    @property
    def short(self) -> str:
        """Authors and year as a table shows them."""
        names = self.authors.split(" and ")
        last = [name.split(",")[0] for name in names]
        shown = {1: last[0], 2: " and ".join(last)}.get(len(last), f"{last[0]} et al.")
        return f"{shown} {self.year}"

    def bibtex(self, key: str) -> str:
        """Return the entry that is cited by a key, in ASCII, so that every BibTeX reads it."""
        # Braces keep the capitals of names.
        fields = {"author": _latex(self.authors), "title": f"{{{_latex(self.title)}}}"}
        volume = re.search(r" (\d+)$", self.venue)
        venue = self.venue[: volume.start()] if volume else self.venue
        if venue == "arXiv":
            kind = "misc"
        elif _MEETING.search(venue):
            kind, fields["booktitle"] = "inproceedings", _latex(self.venue)
        else:
            kind, fields["journal"] = "article", _latex(venue)
            fields |= {"volume": volume[1]} if volume else {}
        fields["year"] = str(self.year)
        if self.arxiv:
            fields |= {"eprint": self.arxiv, "archiveprefix": "arXiv", "url": self.link}
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
        return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def citation(*estimators: Part) -> str:
    """Return BibTeX of the papers behind estimators and their parts, each once.

    Example:
        `print(citation(GumbelSoftmax(0.5), ScoreFunction(LeaveOneOut(4))))`

    Args:
        *estimators: estimators, or parts of them such as baselines.

    Raises:
        TypeError: for anything else, such as a class.
        ValueError: where an estimator names a paper that `BIBLIOGRAPHY` does not hold.
    """
    for estimator in estimators:
        if not isinstance(estimator, Part):
            raise TypeError(f"citation takes estimators, not {estimator!r}")
    keys = dict.fromkeys(key for part in estimators for key in _papers(part) if key)
    for key in keys:
        if key not in BIBLIOGRAPHY:
            raise ValueError(f"no paper {key!r} in BIBLIOGRAPHY")
    return "\n\n".join(BIBLIOGRAPHY[key].bibtex(key) for key in keys)


def _papers(part: Part) -> Iterator[str]:
    yield getattr(part, "paper", "")
    for field in dataclasses.fields(part):  # type: ignore[arg-type]
        inner = getattr(part, field.name)
        if isinstance(inner, Part):
            yield from _papers(inner)
            if field.default is None:
                # With an optional part it may show that one's paper; without, it shows its own.
                yield from _papers(dataclasses.replace(part, **{field.name: None}))  # type: ignore[type-var]


def _latex(text: str) -> str:
    """Return text in ASCII, accents and special characters as LaTeX writes them."""
    written = ""
    for character in text:
        letter, *accents = unicodedata.normalize("NFD", character)
        written += (
            f"{{\\{_ACCENTS[accents[0]]}{letter}}}" if accents else _LETTERS.get(letter, letter)
        )
    return written


BIBLIOGRAPHY = {
    "bengio2013": Paper(
        "Bengio, Yoshua and Léonard, Nicholas and Courville, Aaron",
        "Estimating or Propagating Gradients Through Stochastic Neurons "
        "for Conditional Computation",
        2013,
        "arXiv",
        "1308.3432",
    ),
    "burda2016": Paper(
        "Burda, Yuri and Grosse, Roger and Salakhutdinov, Ruslan",
        "Importance Weighted Autoencoders",
        2016,
        "International Conference on Learning Representations",
        "1509.00519",
    ),
    "chung2017": Paper(
        "Chung, Junyoung and Ahn, Sungjin and Bengio, Yoshua",
        "Hierarchical Multiscale Recurrent Neural Networks",
        2017,
        "International Conference on Learning Representations",
        "1609.01704",
    ),
    "desmet2023": Paper(
        "De Smet, Lennert and Sansone, Emanuele and Zuidberg Dos Martires, Pedro",
        "Differentiable Sampling of Categorical Distributions Using the CatLog-Derivative Trick",
        2023,
        "Advances in Neural Information Processing Systems",
        "2311.12569",
    ),
    "dimitriev2021": Paper(
        "Dimitriev, Aleksandar and Zhou, Mingyuan",
        "ARMS: Antithetic-REINFORCE-Multi-Sample Gradient for Binary Variables",
        2021,
        "International Conference on Machine Learning",
        "2105.14141",
    ),
    "dimitriev2021carms": Paper(
        "Dimitriev, Alek and Zhou, Mingyuan",
        "CARMS: Categorical-Antithetic-REINFORCE Multi-Sample Gradient Estimator",
        2021,
        "Advances in Neural Information Processing Systems",
        "2110.14002",
    ),
    "dong2020": Paper(
        "Dong, Zhe and Mnih, Andriy and Tucker, George",
        "DisARM: An Antithetic Gradient Estimator for Binary Latent Variables",
        2020,
        "Advances in Neural Information Processing Systems",
        "2006.10680",
    ),
    "dong2021": Paper(
        "Dong, Zhe and Mnih, Andriy and Tucker, George",
        "Coupled Gradient Estimators for Discrete Latent Variables",
        2021,
        "Advances in Neural Information Processing Systems",
        "2106.08056",
    ),
    "fan2022": Paper(
        "Fan, Ting-Han and Chi, Ta-Chung and Rudnicky, Alexander I. and Ramadge, Peter J.",
        "Training Discrete Deep Generative Models via Gapped Straight-Through Estimator",
        2022,
        "International Conference on Machine Learning",
        "2206.07235",
    ),
    "grathwohl2018": Paper(
        "Grathwohl, Will and Choi, Dami and Wu, Yuhuai and Roeder, Geoffrey and Duvenaud, David",
        "Backpropagation through the Void: Optimizing control variates for black-box gradient "
        "estimation",
        2018,
        "International Conference on Learning Representations",
        "1711.00123",
    ),
    "gregor2014": Paper(
        "Gregor, Karol and Danihelka, Ivo and Mnih, Andriy and Blundell, Charles "
        "and Wierstra, Daan",
        "Deep AutoRegressive Networks",
        2014,
        "International Conference on Machine Learning",
        "1310.8499",
    ),
    "gu2016": Paper(
        "Gu, Shixiang and Levine, Sergey and Sutskever, Ilya and Mnih, Andriy",
        "MuProp: Unbiased Backpropagation for Stochastic Neural Networks",
        2016,
        "International Conference on Learning Representations",
        "1511.05176",
    ),
    "jang2017": Paper(
        "Jang, Eric and Gu, Shixiang and Poole, Ben",
        "Categorical Reparameterization with Gumbel-Softmax",
        2017,
        "International Conference on Learning Representations",
        "1611.01144",
    ),
    "kingma2014": Paper(
        "Kingma, Diederik P. and Welling, Max",
        "Auto-Encoding Variational Bayes",
        2014,
        "International Conference on Learning Representations",
        "1312.6114",
    ),
    "kool2019": Paper(
        "Kool, Wouter and van Hoof, Herke and Welling, Max",
        "Buy 4 REINFORCE Samples, Get a Baseline for Free!",
        2019,
        "ICLR workshop: Deep Reinforcement Learning Meets Structured Prediction",
    ),
    "kool2020": Paper(
        "Kool, Wouter and van Hoof, Herke and Welling, Max",
        "Estimating Gradients for Discrete Random Variables by Sampling without Replacement",
        2020,
        "International Conference on Learning Representations",
        "2002.06043",
    ),
    "lievin2020": Paper(
        "Liévin, Valentin and Dittadi, Andrea and Christensen, Anders and Winther, Ole",
        "Optimal Variance Control of the Score-Function Gradient Estimator "
        "for Importance-Weighted Bounds",
        2020,
        "Advances in Neural Information Processing Systems 33",
        "2008.01998",
    ),
    "liu2019": Paper(
        "Liu, Runjing and Regier, Jeffrey and Tripuraneni, Nilesh and Jordan, Michael I. "
        "and McAuliffe, Jon",
        "Rao-Blackwellized Stochastic Gradients for Discrete Distributions",
        2019,
        "International Conference on Machine Learning",
        "1810.04777",
    ),
    "liu2023": Paper(
        "Liu, Liyuan and Dong, Chengyu and Liu, Xiaodong and Yu, Bin and Gao, Jianfeng",
        "Bridging Discrete and Backpropagation: Straight-Through and Beyond",
        2023,
        "Advances in Neural Information Processing Systems",
        "2304.08612",
    ),
    "maddison2017": Paper(
        "Maddison, Chris J. and Mnih, Andriy and Teh, Yee Whye",
        "The Concrete Distribution: A Continuous Relaxation of Discrete Random Variables",
        2017,
        "International Conference on Learning Representations",
        "1611.00712",
    ),
    "mnih2014": Paper(
        "Mnih, Andriy and Gregor, Karol",
        "Neural Variational Inference and Learning in Belief Networks",
        2014,
        "International Conference on Machine Learning",
        "1402.0030",
    ),
    "mnih2016": Paper(
        "Mnih, Andriy and Rezende, Danilo J.",
        "Variational Inference for Monte Carlo Objectives",
        2016,
        "International Conference on Machine Learning",
        "1602.06725",
    ),
    "paulus2021": Paper(
        "Paulus, Max B. and Maddison, Chris J. and Krause, Andreas",
        "Rao-Blackwellizing the Straight-Through Gumbel-Softmax Gradient Estimator",
        2021,
        "International Conference on Learning Representations",
        "2010.04838",
    ),
    "shah2024": Paper(
        "Shah, Rushi and Yan, Mingyuan and Mozer, Michael Curtis and Liu, Dianbo",
        "Improving Discrete Optimisation Via Decoupled Straight-Through Gumbel-Softmax",
        2024,
        "arXiv",
        "2410.13331",
    ),
    "shi2022": Paper(
        "Shi, Jiaxin and Zhou, Yuhao and Hwang, Jessica and Titsias, Michalis K. "
        "and Mackey, Lester",
        "Gradient Estimation with Discrete Stein Operators",
        2022,
        "Advances in Neural Information Processing Systems",
        "2202.09497",
    ),
    "titsias2015": Paper(
        "Titsias, Michalis K. and Lázaro-Gredilla, Miguel",
        "Local Expectation Gradients for Black Box Variational Inference",
        2015,
        "Advances in Neural Information Processing Systems",
        "1503.01494",
    ),
    "titsias2022": Paper(
        "Titsias, Michalis K. and Shi, Jiaxin",
        "Double Control Variates for Gradient Estimation in Discrete Latent Variable Models",
        2022,
        "International Conference on Artificial Intelligence and Statistics",
        "2111.05300",
    ),
    "tucker2017": Paper(
        "Tucker, George and Mnih, Andriy and Maddison, Chris J. and Lawson, Dieterich "
        "and Sohl-Dickstein, Jascha",
        "REBAR: Low-variance, unbiased gradient estimates for discrete latent variable models",
        2017,
        "Advances in Neural Information Processing Systems",
        "1703.07370",
    ),
    "wang2026": Paper(
        "Wang, Daniel and Bui, Thang D.",
        "Beyond ReinMax: Low-Variance Gradient Estimators for Discrete Latent Variables",
        2026,
        "arXiv",
        "2603.08257",
    ),
    "williams1992": Paper(
        "Williams, Ronald J.",
        "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning",
        1992,
        "Machine Learning 8",
    ),
    "yin2019": Paper(
        "Yin, Mingzhang and Zhou, Mingyuan",
        "ARM: Augment-REINFORCE-Merge Gradient for Stochastic Binary Networks",
        2019,
        "International Conference on Learning Representations",
        "1807.11143",
    ),
}
