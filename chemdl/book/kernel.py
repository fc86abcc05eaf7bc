"""The kernel that executes chapters: the interpreter that runs now, with its threads bounded."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from chemdl.threads import WAIT_POLICY, cores

_THREAD_VARIABLES = (
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


def kernel_environment() -> dict[str, str]:
    """Return the variables a chapter's kernel gets beside those of this process.

    Thread counts that the user has set are left alone; without them a container with two cores of
    64 would start 64 threads.
    """
    variables = {name: os.environ.get(name, str(cores())) for name in _THREAD_VARIABLES}
    # Read when a library is loaded, so only who starts the kernel can set it. Where threads sleep
    # while they wait, a net may take every core (see chemdl.threads).
    variables[WAIT_POLICY] = os.environ.get(WAIT_POLICY, "PASSIVE")
    # Figures are shown in the notebook whatever backend this process draws with.
    variables["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    package = Path(__file__).resolve().parents[2]
    if package.name not in ("site-packages", "dist-packages"):
        # A checkout that is not installed: the kernel must import the same chemdl as we are.
        paths = [str(package), os.environ.get("PYTHONPATH", "")]
        variables["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return variables


def kernel_manager(environment: dict[str, str]) -> type:
    """Return a kernel manager class that starts this interpreter with ``environment``.

    The notebooks name the kernel ``python3``; the interpreter behind that name differs between
    machines, and may not have chemdl.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    # ipykernel warns about its TCP ports at each start, which would land on a page, and calls its
    # own shutdown an error; what a cell raises comes as a message and is not logged.
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = KernelSpec(
        argv=[*command, "--log-level=CRITICAL"],
        display_name="Python 3",
        language="python",
        env=environment,
    )

    class RunningInterpreter(AsyncKernelManager):
        """Start the interpreter that runs now, whatever kernels are installed."""

        @property
        def kernel_spec(self) -> KernelSpec:
            return spec

    return RunningInterpreter
