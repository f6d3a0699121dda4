"""Settings with a printable identity, shared by estimators and other configuration classes.

@dataclasses.dataclass(frozen=True)
class Cosine(Named):
start: float
end: float = 0.0

str(Cosine(0.1))                          # Cosine[start=0.1]
parse("Cosine[0.1]", {"Cosine": Cosine})  # Cosine(start=0.1, end=0.0)
"""

from estimators.core.identity import Named as Named
from estimators.core.identity import describe as describe
from estimators.core.identity import parse as parse
