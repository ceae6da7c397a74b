"""Commands that must fail with one clear sentence."""

from __future__ import annotations

from tests.helpers.small_crm import run


def run_failing(*arguments: object) -> tuple[int, str]:
    """The exit code and the sentence of a command that fails; no traceback may be printed."""
    completed = run(*arguments)
    assert completed.returncode, completed.stdout
    return completed.returncode, failure_sentence(completed.stderr)


def failure_sentence(stderr: str) -> str:
    """What stderr says from the one line on that begins with "hotlead:"."""
    lines = stderr.splitlines()
    sentences = [i for i, line in enumerate(lines) if line.startswith("hotlead: ")]
    assert len(sentences) == 1, stderr
    assert "Traceback" not in stderr
    return "\n".join(lines[sentences[0] :])
