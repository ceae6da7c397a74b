"""The `hotlead` command: one thin function per command.

Exit codes: 0 done, 1 an error in Hotlead, 2 wrong use of a command, 3 crm.toml, scorecard.toml or an
option is invalid, 4 the data cannot be used, 5 something outside failed (file, disk, database, MLflow),
6 the gate refused the model, 7 a person has to act (`monitor`, `init`, a missing store), 130 stopped.
"""

from cli.main import app, main

__all__ = ["app", "main"]
