"""The log's lines, which never contain a value of a lead. Each case runs in a process of its own."""

import json
import subprocess
import sys
from typing import Any

import pytest

SECRET = "anna@example.com"

HEAD = f"""
import asyncio, logging, sys, threading, warnings
from serving.observability import json_logging as logs
SECRET = {SECRET!r}
def fail(value):
    inner = value + "-local"
    raise ValueError(f"cannot read {{inner}}")
"""


def lines(code: str, before: str = "") -> list[dict[str, Any]]:
    """The lines that a process which runs `code` logs; it prints nothing else."""
    script = f"{HEAD}{before}\nlogs.configure('info')\n{code}"
    completed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert completed.stdout == ""
    assert SECRET not in completed.stderr
    assert "Traceback" not in completed.stderr
    return [json.loads(line) for line in completed.stderr.splitlines()]


def test_a_line_has_time_level_logger_message_and_extra_fields() -> None:
    (line,) = lines(
        "logs.request_id.set('r-1')\n"
        "logging.getLogger('serving.store.store').warning('%d rows', 3, extra={'rows': 3, 'at': None})"
    )
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "serving.store.store",
        "message": "3 rows",
        "request_id": "r-1",
        "rows": 3,
        "at": None,
    }


@pytest.mark.parametrize("name", ["serving.api.routes", "bentoml.serve", "uvicorn.error", "sqlalchemy.x"])
def test_an_exception_is_its_type_and_place(name: str) -> None:
    (line,) = lines(
        f"try: fail(SECRET)\nexcept ValueError: logging.getLogger({name!r}).exception('it failed')"
    )
    assert (line["message"], line["error"]) == ("it failed", ["ValueError"])
    assert line["at"][0] == "<string>:7"


def test_causes_are_logged_by_type() -> None:
    (line,) = lines(
        "try:\n"
        "  try: fail(SECRET)\n"
        "  except ValueError as inner: raise KeyError(SECRET) from inner\n"
        "except KeyError as outer:\n"
        "  logging.getLogger('serving').error('x', exc_info=outer)"
    )
    assert line["error"] == ["KeyError", "ValueError"]


@pytest.mark.parametrize(
    "code",
    [
        "logging.getLogger('bentoml.x').error('failed: %s', ValueError(SECRET))",
        "logging.getLogger('bentoml.x').error('failed %(e)s', {'e': ValueError(SECRET)})",
        "logging.getLogger('serving').error('failed: %s', ValueError(SECRET))",
        "logging.getLogger('serving').error('x', extra={'what': ValueError(SECRET)})",
        "logging.getLogger('serving').error('%d rows', SECRET)",
        "logging.getLogger('serving').error('%s', 'x' * 600 + SECRET)",
        "warnings.warn(SECRET)",
        "threading.Thread(target=fail, args=(SECRET,)).start()",
        "fail(SECRET)",
        "logging.getLogger('uvicorn.error').error('in app\\n' + SECRET, exc_info=ValueError())",
    ],
)
def test_no_way_of_logging_writes_a_value(code: str) -> None:
    (line,) = lines(code)
    assert line["level"] in ("warning", "error", "critical")


def test_asyncio_logs_neither_arguments_nor_exception() -> None:
    entries = lines(
        "async def main():\n"
        "  asyncio.get_running_loop().call_soon(fail, SECRET)\n"
        "  task = asyncio.create_task(asyncio.to_thread(fail, SECRET))\n"
        "  await asyncio.wait([task]); del task\n"
        "asyncio.run(main())"
    )
    assert [line["message"] for line in entries] == [
        "Exception in callback fail",
        "Task exception was never retrieved",
    ]
    assert all(line["error"] == ["ValueError"] for line in entries)


def test_a_failing_destructor_logs_no_value() -> None:
    (line,) = lines("class A:\n  def __del__(self): fail(SECRET)\na = A(); del a")
    assert line["error"] == ["ValueError"]


def test_it_replaces_the_logging_that_bentoml_configured() -> None:
    before = "from bentoml._internal.log import configure_server_logging as c; c()"
    entries = lines(
        "logging.getLogger('bentoml.serve').error('one')\n"
        "logging.getLogger('uvicorn.error').error('two')\n"
        "logging.getLogger('uvicorn.access').error('/v1/scores?lead_id=' + SECRET)\n"
        "logging.getLogger('bentoml.access').error(SECRET)\n"
        "logging.getLogger('python_multipart.multipart').warning(SECRET)\n"
        "logging.getLogger('circus').error('three')",
        before,
    )
    assert [line["message"] for line in entries] == ["one", "two", "three"]


def test_other_loggers_write_warnings_only_and_ours_their_level() -> None:
    entries = lines(
        "logging.getLogger('sqlalchemy.engine').info(SECRET)\n"
        "logging.getLogger('serving.a').info('one')\n"
        "logging.getLogger('serving.a').debug('two')\n"
        "logs.configure('debug')\n"
        "logging.getLogger('sqlalchemy.engine').info(SECRET)\n"
        "logging.getLogger('serving.a').debug('three')\n"
        "logs.configure('error')\n"
        "logging.getLogger('serving.a').warning('four')\n"
        "logging.getLogger('other').warning('five')\n"
        "logging.getLogger('other').error('six')"
    )
    assert [line["message"] for line in entries] == ["one", "three", "six"]


def test_a_disabled_logger_is_enabled() -> None:
    (line,) = lines(
        "logging.getLogger('serving.a').error('heard')", "logging.getLogger('serving.a').disabled = 1"
    )
    assert line["message"] == "heard"


def test_a_fault_of_the_client_is_not_logged() -> None:
    (line,) = lines(
        "from starlette.requests import ClientDisconnect\n"
        "from pydantic import TypeAdapter, ValidationError\n"
        "logging.getLogger('bentoml').error('x', exc_info=ClientDisconnect())\n"
        "try: TypeAdapter(int).validate_python(SECRET)\n"
        "except ValidationError as wrong:\n"
        "  logging.getLogger('bentoml._internal').error('x', exc_info=wrong)\n"
        "  logging.getLogger('serving').error('ours', exc_info=wrong)"
    )
    assert line["message"] == "ours"


def test_lightgbm_does_not_print() -> None:
    (line,) = lines(
        # Without the libraries that LightGBM imports where they are installed; they take seconds.
        "sys.modules.update(pandas=None, sklearn=None)\n"
        "import lightgbm, numpy as np\n"
        "logs.quiet_lightgbm()\n"
        "data = lightgbm.Dataset(np.zeros((20, 2)), np.zeros(20))\n"
        "lightgbm.train({'num_threads': 1}, data, 1).num_trees()"
        "\nlogging.getLogger('serving').info('end')"
    )[-1:]
    assert line["message"] == "end"


def test_a_closed_stream_raises_no_error() -> None:
    assert not lines(
        "import io\n"
        "stream = io.StringIO(); logs.configure('info', stream); stream.close()\n"
        "logging.getLogger('serving').info(SECRET)\n"
        "logging.getLogger('serving').error(SECRET)"
    )
