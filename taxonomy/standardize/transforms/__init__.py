"""Transforms: one table (table.py), and the pipe syntax in which rules write them (syntax.py): `trim | divide(100)`.

Arguments are separated by commas; one with a comma, pipe, bracket or space at its end stands in double quotes, in which
\\" is a quote. A transform works on one value; given a list, all but `join` work on each entry. What is absent (null, or a
blank text) stays absent, except for `constant` and `default`. Where a transform cannot do its work, the answer is a Fault
attribute.transform, and the event is held: a rule that no longer fits its source must be seen.
"""

from typing import Any

from taxonomy.standardize.faults import Fault
from taxonomy.standardize.transforms.syntax import (
    TRANSFORM_CODES,
    Step,
    TransformError,
    WrongTransforms,
    parse_transforms,
    read_steps,
)
from taxonomy.standardize.transforms.table import TRANSFORMS, Row, Transform

__all__ = [
    "TRANSFORMS",
    "TRANSFORM_CODES",
    "Row",
    "Step",
    "Transform",
    "TransformError",
    "WrongTransforms",
    "compile_transforms",
    "parse_transforms",
]


def compile_transforms(text: str) -> Transform:
    """Compile to transform(value, attributes as sent) -> value | None | Fault, which never raises.

    Raises WrongTransforms, a ValueError, where parse_transforms answers an error.
    """
    transforms = [_compile(step) for step in read_steps(text)]
    if len(transforms) == 1:
        return transforms[0]

    def transform_all(value: Any, sent: Any) -> Any:
        for transform in transforms:
            value = transform(value, sent)
            if type(value) is Fault:
                return value
        return value

    return transform_all


def _compile(step: Step) -> Transform:
    row = TRANSFORMS[step.name]
    transform = row.build(*step.arguments)
    if row.takes_absent:
        return transform

    def on_given(value: Any, sent: Any) -> Any:
        if value is None or value == "":
            return value
        if type(value) is list and row.each_entry:
            return _on_each(transform, value, sent)
        return transform(value, sent)

    return on_given


def _on_each(transform: Transform, values: list[Any], sent: Any) -> Any:
    results = []
    for index, value in enumerate(values):
        result = None if value is None else transform(value, sent)
        if type(result) is Fault:
            return result.under(f"[{index}]")
        results.append(result)
    return results
