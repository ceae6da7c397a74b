"""`mlflow models serve` as a process, and questions to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd


@contextmanager
def serve_model(python: Path, model: Path, folder: Path) -> Iterator[str]:
    """Serve the model folder `model` by the MLflow of `python`, run in `folder`; yields the URL to ask."""
    port = _free_port()
    command = [python, "-m", "mlflow", "models", "serve", "--model-uri", model, "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=without_checkout(python),
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, "mlflow models serve ended by itself"
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ask_probabilities(url: str, frame: pd.DataFrame) -> list[float]:
    """The probabilities that a served model answers for the rows of a frame."""
    body = json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split", index=False))})
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return [row["probability"] for row in json.loads(answer.read())["predictions"]]


def without_checkout(python: Path) -> dict[str, str]:
    """The environment for `python`: its own programs first, and nothing else on the path of imports."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return outside | {"PATH": f"{python.parent}:{os.environ['PATH']}"}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
