"""Docstrings of attributes: the string below an annotated name in the body of a class."""

import ast
import inspect
import textwrap
from itertools import pairwise


def attribute_docstrings(kind: type) -> dict[str, str]:
    """The string below each annotated name of a class, by name; names without one are left out."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body
    return {
        statement.target.id: inspect.cleandoc(text.value.value)
        for statement, text in pairwise(body)
        if isinstance(statement, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
