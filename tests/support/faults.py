"""Commands whose system calls fail: a small library that stands before the C library's, compiled where gcc is."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.sources import ROOT

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
/* Calls named in FAULT_CALLS fail with FAULT_ERRNO where their path holds FAULT_PATH. */
static int fails(const char *call, const char *path) {
    const char *calls = getenv("FAULT_CALLS"), *part = getenv("FAULT_PATH"), *code = getenv("FAULT_ERRNO");
    if (!calls || !part || !code || !path || !strstr(calls, call) || !strstr(path, part)) return 0;
    errno = atoi(code);
    return 1;
}
static int fails_on(const char *call, int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fails(call, path);
}
#define REAL(type, name, args) static type (*real) args; if (!real) real = dlsym(RTLD_NEXT, #name)
ssize_t write(int file, const void *data, size_t size) {
    REAL(ssize_t, write, (int, const void *, size_t));
    return fails_on("[write]", file) ? -1 : real(file, data, size);
}
ssize_t read(int file, void *data, size_t size) {
    REAL(ssize_t, read, (int, void *, size_t));
    return fails_on("[read]", file) ? -1 : real(file, data, size);
}
int rename(const char *from, const char *to) {
    REAL(int, rename, (const char *, const char *));
    return fails("[rename]", to) ? -1 : real(from, to);
}
int fsync(int file) {
    REAL(int, fsync, (int));
    return fails_on("[fsync]", file) ? -1 : real(file);
}
int link(const char *from, const char *to) {
    REAL(int, link, (const char *, const char *));
    return fails("[link]", to) ? -1 : real(from, to);
}
int unlink(const char *path) {
    REAL(int, unlink, (const char *));
    return fails("[unlink]", path) ? -1 : real(path);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, (const char *, mode_t));
    return fails("[mkdir]", path) ? -1 : real(path, mode);
}
#define OPEN(name) int name(const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest); \
    REAL(int, name, (const char *, int, ...)); \
    int writes = (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0; \
    return fails(writes ? "[change]" : "[open]", path) ? -1 : real(path, flags, mode); }
OPEN(open) OPEN(open64)
"""
CHANGES = "[change][rename][unlink][mkdir][write]"
"""Everything by which a file or folder changes."""


def build_faults(folder: Path) -> Path:
    """Compile the library; the test is skipped where that cannot be done."""
    if not sys.platform.startswith("linux") or shutil.which("gcc") is None:
        pytest.skip("system calls are made to fail by a library that gcc compiles on Linux")
    library = folder / "faults.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(library), "-ldl"]
    subprocess.run(command, input=_SOURCE, text=True, check=True)
    return library


def run_with_fault(
    library: Path, code: int, calls: str, path: Path | str, *arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run the command `avemo-eval` while calls on paths that hold `path` fail with an error number."""
    assert code in errno.errorcode
    fault = {"LD_PRELOAD": str(library), "FAULT_CALLS": calls, "FAULT_PATH": str(path), "FAULT_ERRNO": str(code)}
    command = [sys.executable, "-m", "avemo_harness", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **fault}, capture_output=True, text=True, check=False)
