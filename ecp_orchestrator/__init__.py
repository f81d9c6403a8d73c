"""The import that the source documents show: `from ecp_orchestrator import ECPClient`. All of it is `ecpmon.client`."""

from ecpmon.client import *  # noqa: F403
from ecpmon.client import __all__ as __all__
