"""The pure core: what a record means under a plan. No Django, no database, no clock, no randomness."""

from taxonomy.standardize.bodies import decode_body
from taxonomy.standardize.check import check_plan
from taxonomy.standardize.codes import CODES
from taxonomy.standardize.decode import decode_json, encode_json, storable
from taxonomy.standardize.identifiers import KINDS
from taxonomy.standardize.keys import content_hash, message_key, message_key_of, told_apart
from taxonomy.standardize.limits import LIMITS
from taxonomy.standardize.mend import standardize_mended
from taxonomy.standardize.places import general
from taxonomy.standardize.plan import Plan, SourcePlan, compile_plan
from taxonomy.standardize.read import read, record_of_row
from taxonomy.standardize.spreadsheets import FULL_WIDTH, ODD_SPACE, is_cut, possible_days, to_day_number, whole_digits
from taxonomy.standardize.standardize import GLOBAL_KINDS, standardize
from taxonomy.standardize.structs import Change, Problem, RawEvent, Refusal, Result, Subject, Violation

__all__ = [
    "CODES",
    "FULL_WIDTH",
    "GLOBAL_KINDS",
    "KINDS",
    "LIMITS",
    "ODD_SPACE",
    "Change",
    "Plan",
    "Problem",
    "RawEvent",
    "Refusal",
    "Result",
    "SourcePlan",
    "Subject",
    "Violation",
    "check_plan",
    "compile_plan",
    "content_hash",
    "decode_body",
    "decode_json",
    "encode_json",
    "general",
    "is_cut",
    "message_key",
    "message_key_of",
    "possible_days",
    "read",
    "record_of_row",
    "standardize",
    "standardize_mended",
    "storable",
    "to_day_number",
    "told_apart",
    "whole_digits",
]
