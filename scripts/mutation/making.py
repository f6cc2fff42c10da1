"""The mutants of a file: each is the file with one small change, by the operators of mutmut."""

import difflib
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators


@dataclass(frozen=True)
class Mutant:
    line: int
    change: str
    """`old line → new line`."""
    source: str
    in_function: bool
    """Whether all of the change is in the body or the defaults of one function that may be given other code."""


_DECORATORS = {"property", "classmethod", "staticmethod", "cached_property", "contextmanager"}
"""Of functions that may be given other code."""


def mutants_of(source: str) -> list[Mutant]:
    """All mutants that compile, by line.

    mutmut itself changes neither constants nor decorated functions, as it switches between functions of one file;
    here every mutant is a file of its own.
    """
    places, encoded = _Places(), source.encode()
    MetadataWrapper(cst.parse_module(source)).visit(places)
    found: dict[str, Mutant] = {}
    for place in places.found:
        mutated = (encoded[: place.start] + place.code.encode() + encoded[place.end :]).decode()
        if mutated != source and mutated not in found and _compiles(mutated):
            found[mutated] = Mutant(place.line, _change(source, mutated), mutated, place.in_function)
    return sorted(found.values(), key=lambda mutant: mutant.line)


@dataclass(frozen=True)
class _Place:
    """Bytes `start` to `end` of the file, and what stands there in a mutant."""

    line: int
    start: int
    end: int
    code: str
    in_function: bool


class _Places(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider, ByteSpanPositionProvider)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[_Place] = []
        self._functions: list[cst.FunctionDef] = []
        """That the visit is in, the outermost first."""

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _says_nothing(node):
            return False
        if isinstance(node, cst.FunctionDef):
            self._functions.append(node)
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                span = self.get_metadata(ByteSpanPositionProvider, node, None)
                line = self.get_metadata(PositionProvider, node).start.line if span else 0
                for changed in operator(node) if span else ():
                    self.found.append(
                        _Place(line, span.start, span.start + span.length, _code(node, changed), self._exchangeable())
                    )
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if self._functions and self._functions[-1] is original_node:
            self._functions.pop()

    def _exchangeable(self) -> bool:
        if not self._functions:
            return False
        return all(
            isinstance(each.decorator, cst.Name) and each.decorator.value in _DECORATORS
            for each in self._functions[0].decorators
        )


def _code(node: cst.CSTNode, changed: cst.CSTNode) -> str:
    """Without the brackets around an expression, which are no part of its span."""
    if getattr(changed, "lpar", None) and changed.lpar is node.lpar:
        changed = changed.with_changes(lpar=[], rpar=[])
    return cst.Module([]).code_for_node(changed)


def _says_nothing(node: cst.CSTNode) -> bool:
    """Whether the program does not do this: docstrings, annotations and the names of types, decorators, imports."""
    match node:
        case cst.Annotation() | cst.Decorator() | cst.Import() | cst.ImportFrom():
            return True
        case cst.Expr(value=cst.SimpleString()):
            return True
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=cst.Subscript()):
            return name.lstrip("_")[:1].isupper() and not name.isupper()  # Labels = NDArray[np.int64]
        case cst.If(test=cst.Name(value="TYPE_CHECKING")):
            return True
    return False


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _change(before: str, after: str) -> str:
    lines = [[" ".join(line.split()) for line in text.splitlines()] for text in (before, after)]
    changed: dict[str, list[str]] = {"-": [], "+": []}
    for line in difflib.unified_diff(*lines, n=0, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            changed[line[0]].append(line[1:])
    return " → ".join(" ".join(changed[sign]) for sign in "-+")
