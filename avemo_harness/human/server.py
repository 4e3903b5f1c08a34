"""Running the study's web application."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path

from avemo_harness.errors import UsageError
from avemo_harness.human.desk import Desk
from avemo_harness.human.guards import PublicAddress
from avemo_harness.human.study import Study
from avemo_harness.human.web import make_app


def require_packages() -> None:
    """Refuse where Starlette or uvicorn is not installed (UsageError)."""
    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            raise UsageError(f"{package} is not installed; the rating pages need: pip install 'avemo-harness[human]'")


def serve(study: Study, folder: Path, address: PublicAddress, host: str, port: int) -> None:
    """Serve a study until the process is interrupted.

    Raises:
        UsageError: the port is taken.
        StoreError: `ratings.sqlite` cannot be opened.
    """
    import uvicorn

    from avemo_harness.human.connections import BoundedProtocol

    desk = Desk(folder, study, time.time)
    try:
        # Without an access log: its lines would hold invitations.
        uvicorn.run(
            make_app(study, folder, address, desk, time.monotonic),
            host=host,
            port=port,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=5,
        )
    except SystemExit as error:
        raise UsageError(f"{host}:{port} cannot be listened at; choose another --port") from error
    finally:
        desk.close()
