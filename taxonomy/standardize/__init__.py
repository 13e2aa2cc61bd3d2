"""The pure core: what a record means under a plan. No Django, no database, no clock, no randomness."""

from taxonomy.standardize.codes import CODES
from taxonomy.standardize.limits import LIMITS
from taxonomy.standardize.structs import Change, Problem, RawEvent, Refusal, Result, Subject, Violation

__all__ = [
    "CODES",
    "LIMITS",
    "Change",
    "Problem",
    "RawEvent",
    "Refusal",
    "Result",
    "Subject",
    "Violation",
]
