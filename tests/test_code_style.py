"""The code keeps to the field's words and to short files, functions and packages (see CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
FUNCTION_WORDS = frozenset(
    [
        "told",
        "said",
        "say",
        "come",
        "came",
        "how",
        "there",
        "each",
        "own",
        "so",
        "kept",
        "found",
        "asked",
        "anew",
        "beside",
        "besides",
        "least",
        "most",
        "wrong",
        "seen",
        "alike",
        "here",
        "then",
        "what",
        "made",
        "given",
        "known",
        "used",
        "whole",
        "strange",
        "alone",
        "at",
        "by",
        "of",
        "an",
        "among",
        "away",
        "near",
        "far",
        "once",
        "again",
        "still",
        "even",
        "only",
        "other",
        "both",
        "where",
        "when",
        "who",
        "whom",
        "whose",
        "gone",
        "held",
        "left",
        "met",
        "put",
        "sent",
        "took",
        "were",
        "was",
        "is",
        "be",
        "has",
        "had",
        "do",
        "does",
        "did",
        "done",
        "may",
        "might",
        "must",
        "some",
        "such",
        "this",
        "that",
        "these",
        "those",
        "very",
        "well",
        "yet",
        "lived",
    ]
)
OUTER_KEYS: frozenset[str] = frozenset()
"""Fields that are keys of the API, of a TOML file, of stored JSON or columns of the database."""
MAX_LINES, MAX_FUNCTION_LINES, MAX_MEDIAN_LINES, MAX_MODULES = 400, 50, 7, 15
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split() if (ROOT / name).is_file()]


FILES = tracked_files()
SOURCES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in FILES}
TREES = {name: ast.parse(text) for name, text in SOURCES.items()}


def bound_names(tree: ast.AST, scope: str = "") -> Iterator[tuple[str, str, int]]:
    """Every (scope, name, line) that a file binds: variables, parameters, attributes, functions, classes."""
    for node in ast.iter_child_nodes(tree):
        inner = scope
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield scope, node.name, node.lineno
            inner = f"{scope}.{node.name}".lstrip(".")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield scope, node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield scope, node.attr, node.lineno
        elif isinstance(node, ast.arg):
            yield scope, node.arg, node.lineno
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield scope, node.name, node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield scope, node.asname, node.lineno
        yield from bound_names(node, inner)


def test_no_name_is_a_function_word() -> None:
    offending = [
        f"{file}:{line} {scope}.{name}"
        for file, tree in TREES.items()
        for scope, name, line in bound_names(tree)
        if name.strip("_").lower() in FUNCTION_WORDS and f"{file}::{scope}.{name}" not in OUTER_KEYS
    ]
    assert not offending, "\n".join(offending)


def test_every_outer_key_is_still_there() -> None:
    bound = {
        f"{file}::{scope}.{name}" for file, tree in TREES.items() for scope, name, _ in bound_names(tree)
    }
    assert bound >= OUTER_KEYS


def test_the_formatter_alone_formats() -> None:
    skipping = [name for name, text in SOURCES.items() if "fmt: " + "skip" in text or "fmt: " + "off" in text]
    assert not skipping


def test_no_file_is_too_long() -> None:
    lengths = {name: text.count("\n") for name, text in SOURCES.items()}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_functions_are_short() -> None:
    lengths = {
        f"{name}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, FUNCTIONS)
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}
    assert (
        median(lines for name, lines in lengths.items() if not name.startswith("tests/")) <= MAX_MEDIAN_LINES
    )


def test_packages_are_small() -> None:
    modules = Counter(str(Path(name).parent) for name in SOURCES if not name.endswith("__init__.py"))
    assert {folder: count for folder, count in modules.items() if count > MAX_MODULES} == {}


def test_an_import_inside_a_function_says_why() -> None:
    """Beside it, above it, or (for a file of commands) in the docstring of the module."""
    unexplained = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        if "Imports inside" not in (ast.get_docstring(tree) or "")
        for function in ast.walk(tree)
        if isinstance(function, FUNCTIONS)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and not has_comment(name, node.lineno)
    ]
    assert not unexplained, "\n".join(unexplained)


def has_comment(name: str, line: int) -> bool:
    """Whether a line, or the block of imports that it ends, has a comment."""
    lines = SOURCES[name].split("\n")
    while line > 0 and "import" in lines[line - 1]:
        if "#" in lines[line - 1]:
            return True
        line -= 1
    return "#" in lines[line - 1]


def test_public_types_have_names_of_their_own() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for name, tree in TREES.items():
        if not name.startswith("tests/"):
            for node in tree.body if isinstance(tree, ast.Module) else ():
                for type_name in type_names(node):
                    places[type_name].append(name)
    assert {type_name: files for type_name, files in places.items() if len(files) > 1} == {}


def type_names(node: ast.stmt) -> Iterator[str]:
    """The public classes and type aliases that a statement of a module defines."""
    if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
        yield node.name
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    for target in targets:
        if (
            isinstance(target, ast.Name)
            and len(target.id) > 1
            and target.id[0].isupper()
            and not target.id.isupper()
        ):
            yield target.id
