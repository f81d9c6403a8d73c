"""Clients of the service: `ECPClient` for programs that wait, `AsyncECPClient` for those on asyncio (docs/clients.md).

Nothing of the service is imported here.
"""

from ecpmon.client.aio import AsyncECPClient
from ecpmon.client.batches import AsyncBatch, Rejected
from ecpmon.client.errors import (
    AnsweredError,
    Conflict,
    DeploymentFailed,
    ECPError,
    Forbidden,
    InvalidRequest,
    NotDelivered,
    NotFound,
    RateLimited,
    ServerFault,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from ecpmon.client.pending import Entry, Sizes
from ecpmon.client.retries import NEVER, Retries
from ecpmon.client.streams import Stream
from ecpmon.client.sync import Batch, ECPClient, Messages, Subscription

__all__ = [
    "NEVER",
    "AnsweredError",
    "AsyncBatch",
    "AsyncECPClient",
    "Batch",
    "Conflict",
    "DeploymentFailed",
    "ECPClient",
    "ECPError",
    "Entry",
    "Forbidden",
    "InvalidRequest",
    "Messages",
    "NotDelivered",
    "NotFound",
    "RateLimited",
    "Rejected",
    "Retries",
    "ServerFault",
    "Sizes",
    "Stream",
    "Subscription",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
]
