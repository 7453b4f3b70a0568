"""What the server is made of: databases, what takes usage in, and the five services on top of them."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor
from prometheus_client import CollectorRegistry, Histogram

from ratel.account.v1 import account_service_pb2
from ratel.account.v1.account_service_pb2_grpc import add_AccountServiceServicer_to_server
from ratel.catalog.v1 import catalog_service_pb2
from ratel.catalog.v1.catalog_service_pb2_grpc import add_CatalogServiceServicer_to_server
from ratel.config import Configuration
from ratel.rating.v1 import billing_service_pb2, rating_service_pb2
from ratel.rating.v1.billing_service_pb2_grpc import add_BillingServiceServicer_to_server
from ratel.rating.v1.rating_service_pb2_grpc import add_RatingServiceServicer_to_server
from ratel.server.account import Accounts
from ratel.server.admission import Admission
from ratel.server.bill_run import BillMaker
from ratel.server.bill_worker import BillWorkers, WorkerStart
from ratel.server.billing import BillingServicer
from ratel.server.catalog import Catalog
from ratel.server.charges import Charging
from ratel.server.errors import Prompt, Quick
from ratel.server.metering import CONNECTIONS, open_metering
from ratel.server.metrics import create_pool_wait
from ratel.server.rating import RatingServicer, create_plan_cache
from ratel.server.usage import UsageServicer
from ratel.server.usage_stream import Source, StreamEnd
from ratel.store.migrate import check_schema
from ratel.store.pool import LOOK_UPS, Database, PoolLimits
from ratel.usage.v1 import usage_service_pb2
from ratel.usage.v1.usage_service_pb2_grpc import add_UsageServiceServicer_to_server


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the contracts.

    Attributes:
        file: describes it.
        add: registers it.
        servicer: answers it.
        quick: what answers some of its methods, by name, before their requests are read.
        prompt: the same without ever waiting.
    """

    file: FileDescriptor
    add: Callable[[Any, grpc.aio.Server], None]
    servicer: object
    quick: Mapping[str, Quick] = field(default_factory=dict)
    prompt: Mapping[str, Prompt] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The full name of the only service of its file."""
        (service,) = self.file.services_by_name.values()
        return str(service.full_name)


@asynccontextmanager
async def open_services(
    configuration: Configuration, database_url: str, registry: CollectorRegistry, admission: Admission
) -> AsyncIterator[Sequence[Service]]:
    """Give what answers the services; at the end, what was taken in is written and the connections are closed.

    Raises:
        SchemaUnknown: The database's schema is not this program's.
        DatabaseUnavailable: The database cannot be reached.
    """
    limits = PoolLimits(
        connections_max=configuration.database_connections_max,
        wait_seconds=configuration.database_wait_seconds,
        statement_seconds=configuration.database_statement_seconds,
    )
    pool_wait = create_pool_wait(registry)
    future = timedelta(hours=configuration.event_future_hours)
    async with (
        _open_database(database_url, limits, pool_wait.labels("calls"), LOOK_UPS) as database,
        # Reads must not keep writes waiting.
        _open_database(
            database_url, replace(limits, connections_max=CONNECTIONS), pool_wait.labels("usage"), {}
        ) as own,
    ):
        async with database.connection() as connection:
            await check_schema(connection)
        start = WorkerStart(database_url, replace(limits, connections_max=1), configuration.log_level)
        async with (
            open_metering(own, registry, future, retention_days=configuration.event_retention_days) as metering,
            aclosing(BillWorkers(start, configuration.billing_processes)) as workers,
        ):
            end = StreamEnd(admission.draining, configuration.connection_age_seconds)
            usage = UsageServicer(database, metering, end)
            cache = create_plan_cache(registry)
            charges = Source(metering.ingest.room, Charging(database, cache, metering).take_in, end)
            rating = RatingServicer(database, cache, metering.tail, charges, registry)
            billing = BillingServicer(database, BillMaker(database, cache, metering.tail), workers, registry)
            yield [
                Service(catalog_service_pb2.DESCRIPTOR, add_CatalogServiceServicer_to_server, Catalog(database)),
                Service(account_service_pb2.DESCRIPTOR, add_AccountServiceServicer_to_server, Accounts(database)),
                Service(usage_service_pb2.DESCRIPTOR, add_UsageServiceServicer_to_server, usage),
                Service(
                    *(rating_service_pb2.DESCRIPTOR, add_RatingServiceServicer_to_server, rating),
                    quick=rating.quick,
                    prompt=rating.prompt,
                ),
                Service(billing_service_pb2.DESCRIPTOR, add_BillingServiceServicer_to_server, billing),
            ]


@asynccontextmanager
async def _open_database(
    url: str, limits: PoolLimits, wait: Histogram, settings: Mapping[str, str]
) -> AsyncIterator[Database]:
    database = Database(url, limits, wait.observe, settings)
    try:
        yield database
    finally:
        await database.close()
