"""What many stories in one process share: the API server behind the proxy, and the audit of it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tests.faults.audit import Audit
from tests.faults.in_process import Stage
from tests.faults.proxy import Proxy
from tests.support.api_client import AsyncApiClient


@contextlib.asynccontextmanager
async def stage(kubeconfig: Path) -> AsyncIterator[Stage]:
    """A stage for many stories at once."""
    async with (
        AsyncApiClient.of(kubeconfig) as api,
        aiohttp.ClientSession() as session,
        Audit(api) as audit,
    ):
        proxy = Proxy(api.address)
        async with proxy.served() as url:
            made = Stage(api, proxy, url, audit, session)
            proxy.of_write, proxy.kill = made.fault_of, made.kill
            yield made
