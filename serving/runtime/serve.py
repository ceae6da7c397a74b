"""`hotlead serve`: checks before the start, the processes, and the message once the service runs."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from glob import escape
from pathlib import Path

from sqlalchemy.engine import make_url

from features.clock import iso, now_ms
from features.errors import HotleadError, SettingsError
from features.kinds import activities_of
from features.messages import Message
from features.settings import CrmSettings, load_settings
from scoring.scorecard.load import find_card
from serving.runtime.address import ListenAddress
from serving.runtime.file_access import GROUP_ACCESS, find_mask, restrict_files
from serving.runtime.supervisor import ManagedProcess, StatusCallback, supervise
from serving.settings import ServiceSettings
from serving.store.state.known_store import check_store
from serving.web.api_keys import KeyCache

DRAIN_SECONDS = 5
_WRITTEN = ("spool", "bentoml", "model", "mlflow.db", "mlartifacts", "session.key", "sessions-ended")
"""What Hotlead writes into the output folder, beside the files that have settings of their own."""


def serve(
    base_settings: ServiceSettings,
    address: ListenAddress,
    workers: int,
    is_open: bool,
    progress: StatusCallback,
    is_new_store: bool = False,
) -> None:
    """Run the service and the follower until SIGINT or SIGTERM.

    `is_new_store`: a person confirms that a missing store is made anew. Raises SettingsError when crm.toml is
    invalid or the access is unsafe, OutsideError for a taken port, ConfirmationNeeded for a missing store.
    """
    settings = base_settings.model_copy(
        update={"open_on_loopback": is_open or base_settings.open_on_loopback}
    )
    crm = load_settings(settings.crm)
    check_access(settings, address)
    address.check()
    check_store(settings, is_new_store)
    restrict_access(settings, progress)
    environ = {
        "HOTLEAD_CRM": str(settings.crm),
        "HOTLEAD_OUT": str(settings.out),
        "HOTLEAD_WORKERS": str(workers),
        "HOTLEAD_OPEN": "1" if settings.open_on_loopback else "0",
        "BENTOML_HOME": os.environ.get("BENTOML_HOME") or str(settings.out / "bentoml"),
    }
    supervise(
        service_process(address, environ),
        follower_process(settings, environ),
        lambda: progress(startup_message(crm, settings, address)),
        address,
        progress,
    )


def service_process(address: ListenAddress, environ: Mapping[str, str]) -> ManagedProcess:
    """BentoML with its workers, which drain for some seconds when they are stopped."""
    command = [sys.executable, "-m", "serving.runtime.bentoml_server", "serve", "serving.service:Hotlead"]
    command += ["--host", address.host, "--port", str(address.port)]
    command += ["--timeout-graceful-shutdown", str(DRAIN_SECONDS)]
    defaults = {
        "BENTOML_DO_NOT_TRACK": "True",
        "OTEL_SDK_DISABLED": os.environ.get("OTEL_SDK_DISABLED", "true"),
        "OPENBLAS_NUM_THREADS": "1",
        # glibc would keep the memory of a large body once for each thread that ever parsed one.
        "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "2"),
    }
    return ManagedProcess("service", command, {**defaults, **environ})


def follower_process(settings: ServiceSettings, environ: Mapping[str, str]) -> ManagedProcess:
    """The only process that calls MLflow."""
    command = [sys.executable, "-m", "cli", "follow", str(settings.crm)]
    return ManagedProcess("follower", command, environ)


def check_access(settings: ServiceSettings, address: ListenAddress) -> None:
    """Raise SettingsError when nobody could use the service for lack of keys, or everybody could."""
    keys = KeyCache(settings.keys_file)
    if settings.open_on_loopback and not address.is_loopback:
        raise SettingsError(
            "--open serves without keys, which is for this machine alone, and {host} can be "
            "reached by others. Make a key with `hotlead keys add`, and leave --open out.",
            host=address.host,
        )
    if not keys.is_empty or (settings.open_on_loopback and keys.was_never_used):
        return
    if settings.open_on_loopback:
        raise SettingsError(
            "{keys_file}: there is no API key any more, and --open ends with the first one. Make one with "
            "`hotlead keys add --role crm --name NAME`.",
            keys_file=settings.keys_file,
        )
    raise SettingsError(
        "{keys_file}: there is no API key, so nobody could use the service. Make one "
        "with `hotlead keys add --role crm --name NAME`, or say --open to try it on this machine.",
        keys_file=settings.keys_file,
    )


def restrict_access(settings: ServiceSettings, progress: StatusCallback) -> None:
    """Take the permissions of other users from the files of the service, and say so if there were any.

    New files have none (see `restrict_new_files`), but those of a former version may have.
    """
    change = restrict_files(_list_private_paths(settings), find_mask(os.environ))
    if change.restricted:
        progress(
            Message(
                "Other users of this machine could use {count:,} files and folders in {folder}. They cannot "
                "any more; with {variable}=1 the group still can.",
                count=change.restricted,
                folder=settings.out,
                variable=GROUP_ACCESS,
            )
        )
    if change.refused:
        progress(
            Message(
                "Other users of this machine can use {count:,} files and folders in {folder} which belong to "
                "another user. Let their owner or an administrator correct this (chmod go-rwx).",
                count=change.refused,
                folder=settings.out,
            )
        )


def _list_private_paths(settings: ServiceSettings) -> Iterator[Path]:
    """The files and folders of the service. An output folder that has crm.toml in it has also files of
    others, which are left alone."""
    if settings.crm.is_relative_to(settings.out):
        yield from (settings.out / name for name in _WRITTEN)
    else:
        yield settings.out
    yield from (settings.bundles, settings.keys_file)
    url = make_url(settings.store_url)
    if url.get_backend_name() == "sqlite" and url.database:
        store = Path(url.database)
        yield from store.parent.glob(f"{escape(store.name)}*")  # with its log, index and lock


def startup_message(crm: CrmSettings, settings: ServiceSettings, address: ListenAddress) -> Message:
    """The message once the service answers, with three commands to try."""
    free = settings.open_on_loopback and KeyCache(settings.keys_file).was_never_used
    access = (
        Message("Open to this machine alone, without keys: for trying out.")
        if free
        else Message("Send an API key with each request: Authorization: Bearer KEY.")
    )
    return Message(
        "Hotlead serves at {url} (stop it with Ctrl-C).\n{access}\nTry:\n{lines}\n"
        "Docs: docs/api.md; {url}/v1/openapi.json describes all paths.\n"
        "Pages for people, in English and Japanese: {url}/review (docs/first-five-minutes.md)",
        url=address.url,
        access=access,
        lines="\n".join(f"  {line}" for line in curl_examples(crm, address.url, free)),
    )


def curl_examples(crm: CrmSettings, url: str, free: bool) -> list[str]:
    """Commands that send an activity (or a lead), score its lead, and read the call list."""
    key = "" if free else " -H 'authorization: Bearer KEY'"
    post = f"curl -s{key} -H 'content-type: application/json' {url}"
    lead = {"lead_id": "TRY-1"}
    activity = {**lead, "type": example_activity(crm), "at": iso(now_ms())}
    update = {**lead, "updated_at": iso(now_ms()), "attributes": {}}
    first, path = (activity, "activities") if crm.activities else (update, "leads")
    return [
        f"{post}/v1/{path} -d {shlex.quote(json.dumps(first, ensure_ascii=False))}",
        f"{post}/v1/score -d {shlex.quote(json.dumps(lead))}",
        f"curl -s{key} {url}/v1/hot",
    ]


def example_activity(crm: CrmSettings) -> str:
    """An activity type that triggers hot at once, if the scorecard has one; else any that it counts."""
    try:
        triggers = list(find_card(crm.folder, crm.table).triggers.values())
    except HotleadError:  # the service logs it, and runs without the scorecard
        triggers = []
    for trigger in triggers:
        for condition in trigger.when:
            if counted := sorted(activities_of(crm.features[condition.feature]) - {"*"}):
                return counted[0]
    return min(crm.table.activities - {"*"}, default="activity")
