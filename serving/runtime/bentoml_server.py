"""BentoML's command with one setting that it has no option for: how soon a worker that ended is replaced.

`python -m serving.runtime.bentoml_server serve ...` as `bentoml serve ...`. BentoML looks after its workers
every ten seconds; a service with one worker would be away for so long.
"""

from __future__ import annotations

from functools import partial

from bentoml._internal.utils import circus
from bentoml_cli.cli import cli

CHECK_SECONDS = 1.0


def main() -> None:
    """Run BentoML's command line."""
    circus.create_standalone_arbiter = partial(circus.create_standalone_arbiter, check_delay=CHECK_SECONDS)
    cli()


if __name__ == "__main__":
    main()
