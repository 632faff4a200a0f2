"""A network namespace of the run's own: no packet sockets, no other program's congestion control, no port taken."""

import contextlib
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")
INSIDE = "BIFROST_BENCH_NAMESPACE"
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def unshare_command():
    """How to get into a namespace here; exits with what to do when there is no way."""
    if not shutil.which("unshare"):
        sys.exit("bench: no unshare; install util-linux")
    form = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    done = subprocess.run([*form, "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench: `{' '.join(form)}` fails: {done.stderr.strip()}\n"
                 "  Figures from outside a network namespace are not comparable. Run it as root, or allow unprivileged\n"
                 "  user namespaces (sysctl kernel.unprivileged_userns_clone=1).")
    return form


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(s, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
    # The machine's own choice may pace what is sent; it is told in the report when it cannot be changed.
    with contextlib.suppress(OSError):
        CONGESTION.write_text("reno")


def enter():
    """Returns inside the namespace: the first call replaces this process by itself in one."""
    if os.environ.get(INSIDE) == str(os.getpid()):
        loopback_up()
        return
    form = unshare_command()
    os.environ[INSIDE] = str(os.getpid())  # unshare keeps the pid, whoever inherits the name has another
    sys.stdout.flush()
    os.execvp(form[0], [*form, sys.executable, *sys.argv])
