from __future__ import annotations

import subprocess
import sys


def test_importing_media_imports_no_codec() -> None:
    code = "import sys, avemo_harness.media; print({'av', 'soundfile', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
