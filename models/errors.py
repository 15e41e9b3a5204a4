"""Every error the project raises on purpose, in one tree.

ReviewError
├── InputError                 what came in can't be used; names the field or line
│   ├── CaseFormatError        a case, outcome or label that breaks the intake format
│   ├── ImageError             bytes that are no acceptable photo
│   │   ├── ImageTooLargeError     over the byte or pixel cap; refused before decoding
│   │   └── ImageUnreadableError   not a JPEG, PNG or WEBP, or damaged
│   └── RulePackError          a rule pack that breaks its format; names file and line
├── ModelError                 a model or its weights can't be used
│   ├── WeightsError           weights missing, altered or of another shape
│   ├── TrialError             a model fails when it is tried, for reasons that may pass
│   ├── NotFittedError         scoring before `fit` or `load`
│   ├── CalibrationError       too few held-out cases to promise the wanted coverage
│   ├── RegistryError          the model registry doesn't answer, or holds no such model
│   │   └── PromotionRefusedError  the champion's name may not move there
│   └── GoldenCaseError        a loaded model doesn't repeat what it said when it was made
└── EncoderError               a pretrained encoder can't be prepared

Knows nothing of HTTP: `serving.errors` maps these to statuses.
"""

from typing import Literal

RefusedBecause = Literal["champion_already", "not_passed", "judged_against_another", "no_earlier_champion"]


class ReviewError(Exception):
    """Root of every deliberate error."""


class InputError(ReviewError):
    """What came in can't be used. `field` names the place, if there is one."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.message = message
        self.field = field


class CaseFormatError(InputError):
    """A case, outcome or label breaks the intake format; `problems` lists every (field, message)."""

    def __init__(self, problems: list[tuple[str, str]], *, source: str | None = None) -> None:
        where = f"{source}: " if source else ""
        super().__init__(where + "; ".join(f"{field}: {message}" for field, message in problems))
        self.problems = problems
        self.source = source


class ImageError(InputError):
    """The bytes are not an acceptable photo."""


class ImageTooLargeError(ImageError):
    """Over the byte or pixel cap; refused before the pixels are decoded."""


class ImageUnreadableError(ImageError):
    """Not a JPEG, PNG or WEBP, or damaged."""


class RulePackError(InputError):
    """A rule pack breaks its format; the message names file and line."""


class ModelError(ReviewError):
    """A model or its weights can't be used."""


class WeightsError(ModelError):
    """Weights are missing, altered or of another shape than the code expects."""


class TrialError(ModelError):
    """A model fails when it is tried, and the error doesn't tell why: its weights, or a lack of memory or threads."""


class NotFittedError(ModelError):
    """The classifier was asked to score before `fit` or `load`."""


class CalibrationError(ModelError):
    """Too few held-out cases to promise the wanted coverage."""

    def __init__(self, *, n_cases: int, n_needed: int) -> None:
        super().__init__(f"calibration needs {n_needed} cases, got {n_cases}")
        self.n_cases, self.n_needed = n_cases, n_needed


class RegistryError(ModelError):
    """The model registry doesn't answer, or holds no such model."""


class PromotionRefusedError(RegistryError):
    """The champion's name may not move. model : the one meant, None where there is none; champion : the present one"""

    def __init__(
        self, message: str, *, why: RefusedBecause, model: int | None, champion: int | None, judged_against: int = 0
    ) -> None:
        super().__init__(message)
        self.why, self.model, self.champion, self.judged_against = why, model, champion, judged_against


class GoldenCaseError(ModelError):
    """A loaded model doesn't repeat, on its golden cases, what it said when it was made."""


class EncoderError(ReviewError):
    """A pretrained encoder can't be prepared: its source is missing or not the pinned one."""
