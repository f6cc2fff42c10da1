"""The mutants of a file: each is the file with one small change, by the operators of mutmut."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
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
    places = _Places()
    module = MetadataWrapper(cst.parse_module(source))
    module.visit(places)
    found: dict[str, Mutant] = {}
    for line, in_function, node, changed in places.found:
        mutated = module.module.deep_replace(node, changed).code
        if mutated != source and _compiles(mutated):
            found.setdefault(mutated, Mutant(line, _change(source, mutated), mutated, in_function))
    return sorted(found.values(), key=lambda mutant: mutant.line)


class _Places(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, bool, cst.CSTNode, cst.CSTNode]] = []
        self._functions: list[cst.FunctionDef] = []
        """That the visit is in, the outermost first."""

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _says_nothing(node):
            return False
        if isinstance(node, cst.FunctionDef):
            self._functions.append(node)
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                for changed in operator(node):
                    position = self.get_metadata(PositionProvider, node, None)
                    self.found.append((position.start.line if position else 1, self._exchangeable(), node, changed))
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
    changed: dict[str, list[str]] = {"-": [], "+": []}
    for line in _changed_lines(before, after):
        changed[line[0]].append(line[1:].strip())
    return " → ".join(" ".join(changed[sign]) for sign in "-+")


def _changed_lines(before: str, after: str) -> Iterator[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return (line for line in lines if not line.startswith(("---", "+++", "@@")))
