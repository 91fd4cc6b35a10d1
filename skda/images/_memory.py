"""How much memory there is for images."""

import os
from pathlib import Path

# Of a container, whose limit the machine's figures do not know: (limit, in use) of cgroups 2, 1.
_CONTAINER = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)
_FALLBACK = 2**32  # where the system does not tell


def available_memory():
    """Return the bytes of memory that can be used without swapping, as far as the system tells."""
    return max(0, min([_of_machine(), *_of_container()]))


def _of_machine():
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):  # macOS: half of all
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return _FALLBACK


def _of_container():
    for limit, used in _CONTAINER:
        try:
            yield int(Path(limit).read_text()) - int(Path(used).read_text())
        except (OSError, ValueError):  # no such file, or "max"
            continue
