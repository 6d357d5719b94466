"""Make `import open3d` work where that is allowed: install its system libraries, or name them.

Open3D is an optional baseline; its absence fails nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

DEBIAN_PACKAGES = ["libgl1", "libegl1", "libx11-6", "libusb-1.0-0", "libudev1", "libidn2-0", "libgomp1"]


def is_open3d_usable() -> bool:
    """Try the import in a process of its own."""
    return subprocess.run([sys.executable, "-c", "import open3d"], capture_output=True, check=False).returncode == 0


def main() -> None:
    """Install the libraries when root with apt-get; say what is missing otherwise."""
    if is_open3d_usable():
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", *DEBIAN_PACKAGES]):
            subprocess.run(["apt-get", "-qq", *command], env=environment, stdin=subprocess.DEVNULL, check=False)
    if not is_open3d_usable():
        sys.stdout.write(f"open3d cannot be imported; on Debian it needs: {' '.join(DEBIAN_PACKAGES)}\n")


if __name__ == "__main__":
    main()
