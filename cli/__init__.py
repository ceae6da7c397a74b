"""The `hotlead` command: one thin function a command.

Exit codes: 0 done, 1 a fault of Hotlead, 2 wrong use of a command, 3 crm.toml, scorecard.toml or an
option does not hold, 4 the data cannot be used, 5 something outside failed (file, disk, database, MLflow),
6 the gate refused the model, 7 `monitor` advises to act, 130 stopped.
"""

from cli.main import app, main

__all__ = ["app", "main"]
