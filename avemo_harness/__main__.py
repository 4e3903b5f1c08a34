"""``python -m avemo_harness`` is the command."""

from __future__ import annotations

import sys

from avemo_harness.cli import main

sys.exit(main())
