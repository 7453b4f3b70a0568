"""RatingService: what usage costs, and why. Writes nothing but the usage that streams record."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ratel.core.errors import RatelError, ResourceNotFound
from ratel.core.period import Period
from ratel.core.rating.accumulated import accumulated_usages, survey_accumulated
from ratel.core.rating.prepared import prepare
from ratel.core.rating.rate import rate
from ratel.core.rating.scope import Scope, check_asked, survey
from ratel.core.tail import Tail
from ratel.rating.v1 import account_rating_pb2, rating_service_pb2, rating_service_pb2_grpc
from ratel.server.account_chunk import account_chunks
from ratel.server.answers import Answers
from ratel.server.convert.accumulated import accumulated_usage_to_proto, accumulating_from_proto
from ratel.server.convert.prepared import PreparedRating
from ratel.server.convert.purchase import quote_add_on_to_proto
from ratel.server.convert.quote import quote_to_proto
from ratel.server.convert.rating import account_rating_to_proto
from ratel.server.convert.value import period_from_proto
from ratel.server.errors import Context, Prompt, Quick, status_of
from ratel.server.quotes import Quotes
from ratel.server.usage_stream import Source, answers_to
from ratel.store.add_on import ADD_ONS
from ratel.store.known import Known, KnownAccounts
from ratel.store.moment import Sights
from ratel.store.pool import Database
from ratel.store.question import question_of
from ratel.store.rating import AccountSnapshot, PlanCache, UsageSnapshot, rating_snapshot, slices_of
from ratel.store.resource import get

CHUNK_ACCOUNTS = 50
"""Accounts of a RateAccounts that share a snapshot: enough to share its first statement, few enough to wait for."""

Charges: TypeAlias = Source[rating_service_pb2.StreamChargesRequest, rating_service_pb2.StreamChargesResponse]

Asked: TypeAlias = rating_service_pb2.RateAccountRequest | rating_service_pb2.RateAccountsRequest


class RatingServicer(rating_service_pb2_grpc.RatingServiceServicer):
    """Answers ratel.rating.v1.RatingService.

    Args:
        database: Where everything is.
        cache: Compiled plans, for the life of the process.
        tail: What this process remembers of usage that is not in the rollups yet.
        charges: Where the answers to streams come from.
        registry: Where it is measured what calls share and what they need not do again.
    """

    def __init__(
        self, database: Database, cache: PlanCache, tail: Tail, charges: Charges, registry: CollectorRegistry
    ) -> None:
        self._database = database
        self._cache = cache
        self._tail = tail
        self._charges = charges
        self._quotes = Quotes()
        self._answers = Answers(Sights(database), create_repeated_answers(registry).inc)
        observe = create_batch_size(registry).observe
        self._known: KnownAccounts[PreparedRating] = KnownAccounts(database, tail, observe)

    @property
    def quick(self) -> Mapping[str, Quick]:
        """What answers some methods before their requests are read, where it can."""
        return {"RateAccount": self._answers.get}

    @property
    def prompt(self) -> Mapping[str, Prompt]:
        """What does so without ever waiting."""
        return {"Quote": self._quotes.answer}

    async def Quote(
        self, request: rating_service_pb2.QuoteRequest, context: Context
    ) -> rating_service_pb2.QuoteResponse:
        """Price a quantity with given bands."""
        response = quote_to_proto(request)
        self._quotes.prepare(request)
        return response

    async def QuoteAddOn(
        self, request: rating_service_pb2.QuoteAddOnRequest, context: Context
    ) -> rating_service_pb2.QuoteAddOnResponse:
        """Price quantities of an add-on without buying it."""
        async with self._database.connection() as connection:
            add_on = (await get(connection, ADD_ONS, request.add_on_id)).value
        return quote_add_on_to_proto(request, add_on)

    async def RateAccount(
        self, request: rating_service_pb2.RateAccountRequest, context: Context
    ) -> rating_service_pb2.RateAccountResponse:
        """Rate one account: quickly, where all that it takes is known from before."""
        asked = asked_from_proto(request)
        response = rating_service_pb2.RateAccountResponse()
        found = await self._known.read(request.account_id, asked)
        if found is not None and found.known.value.fill(response.account_rating, found.kept):
            self._answers.keep(request, response, found.sight)
            return response
        (surveyed,) = await self._survey([request.account_id], asked)
        if isinstance(surveyed, RatelError):
            raise surveyed
        response.account_rating.CopyFrom(_rated(surveyed))
        self._learn(asked, surveyed)
        self._answers.keep(request, response, surveyed[0].sight)
        return response

    async def RateAccounts(
        self, request: rating_service_pb2.RateAccountsRequest, context: Context
    ) -> AsyncIterator[rating_service_pb2.RateAccountsResponse]:
        """Rate many accounts; a chunk is read when the caller has taken the one before."""
        asked = asked_from_proto(request)
        async for ids in account_chunks(self._database, request.account_ids, CHUNK_ACCOUNTS):
            for account_id, surveyed in zip(ids, await self._survey(ids, asked), strict=True):
                yield _response(account_id, surveyed)
                await asyncio.sleep(0)  # other calls go on between two accounts

    async def QueryAccumulations(
        self, request: rating_service_pb2.QueryAccumulationsRequest, context: Context
    ) -> rating_service_pb2.QueryAccumulationsResponse:
        """Say how far usage has come that accumulates."""
        asked = accumulating_from_proto(request)
        async with rating_snapshot(self._database, self._cache, self._tail) as snapshot:
            account = (await snapshot.accounts([request.account_id], asked.period)).get(request.account_id)
            if account is None:
                raise ResourceNotFound("account", request.account_id)
            scope = survey_accumulated(account.context, asked)
            usage = await snapshot.usage(account, scope)
        return rating_service_pb2.QueryAccumulationsResponse(
            accumulated_usages=map(accumulated_usage_to_proto, accumulated_usages(scope, usage.partials, asked)),
            aggregation_ids_from_events=usage.aggregation_ids_from_events,
        )

    async def StreamCharges(
        self, requests: AsyncIterator[rating_service_pb2.StreamChargesRequest], context: Context
    ) -> AsyncIterator[rating_service_pb2.StreamChargesResponse]:
        """Say what usage costs at the margin, message after message."""
        async for answered in answers_to(requests, self._charges):
            for _, answer in answered:
                yield answer

    def _learn(self, asked: Period, surveyed: "Surveyed") -> None:
        """Remember an account that can be rated quickly from now on."""
        account, scope, usage = surveyed
        account_id, sight = account.context.account.id, account.sight
        if sight.moment is None or self._known.knows(account_id, asked, sight):
            return
        prepared = prepare(scope)
        if prepared is not None:
            question = question_of(slices_of(account, scope, usage.definitions))
            known = Known(sight, question, PreparedRating(prepared, account.revision))
            self._known.learn(account_id, asked, known)

    async def _survey(self, ids: Sequence[str], asked: Period) -> list["Surveyed | RatelError"]:
        """Read what the rating of some accounts needs, all of one moment; it is over before anything is rated."""
        async with rating_snapshot(self._database, self._cache, self._tail) as snapshot:
            accounts = await snapshot.accounts(ids, asked)
            scopes = [_scope_of(account_id, accounts.get(account_id), asked) for account_id in ids]
            known = [each for each in scopes if not isinstance(each, RatelError)]
            usages = iter(await snapshot.usages(known))
            return [each if isinstance(each, RatelError) else (*each, next(usages)) for each in scopes]


def asked_from_proto(request: Asked) -> Period:
    """Return the period that is to be rated.

    Raises:
        Invalid: with all mistakes, at ``start_time`` and ``end_time``.
    """
    start, end = request.start_time, request.end_time
    return _asked(start.seconds, start.nanos, (end.seconds, end.nanos) if request.HasField("end_time") else None)


@lru_cache(maxsize=1_024)  # callers ask for the same few periods
def _asked(seconds: int, nanos: int, end: tuple[int, int] | None) -> Period:
    message = rating_service_pb2.RateAccountRequest(start_time=Timestamp(seconds=seconds, nanos=nanos))
    if end is not None:
        message.end_time.CopyFrom(Timestamp(seconds=end[0], nanos=end[1]))
    asked = period_from_proto(message)
    check_asked(asked)
    return asked


Surveyed: TypeAlias = tuple[AccountSnapshot, Scope, UsageSnapshot]
"""What the rating of one account needs."""


def _scope_of(
    account_id: str, account: AccountSnapshot | None, asked: Period
) -> tuple[AccountSnapshot, Scope] | RatelError:
    if account is None:
        return ResourceNotFound("account", account_id)
    try:
        return account, survey(account.context, asked)
    except RatelError as error:
        return error


def _rated(surveyed: Surveyed) -> account_rating_pb2.AccountRating:
    account, scope, usage = surveyed
    rating = rate(scope, usage.partials)
    return account_rating_to_proto(rating, account.revision, usage.aggregation_ids_from_events)


def _response(account_id: str, surveyed: Surveyed | RatelError) -> rating_service_pb2.RateAccountsResponse:
    try:
        if isinstance(surveyed, RatelError):
            raise surveyed
        return rating_service_pb2.RateAccountsResponse(account_id=account_id, account_rating=_rated(surveyed))
    except RatelError as error:
        return rating_service_pb2.RateAccountsResponse(account_id=account_id, error=status_of(error))


def create_batch_size(registry: CollectorRegistry) -> Histogram:
    """Return the histogram of how many accounts were read together."""
    text = "Accounts whose usage one statement read, for calls that came at once; of those that were rated before."
    return Histogram("ratel_read_accounts", text, buckets=(1, 2, 4, 8, 16, 32, 64), registry=registry)


def create_repeated_answers(registry: CollectorRegistry) -> Counter:
    """Return the counter of ratings that were not made again."""
    text = "Ratings that were answered as they were before, because nothing that they depend on had changed since."
    return Counter("ratel_repeated_answers", text, registry=registry)


def create_plan_cache(registry: CollectorRegistry) -> PlanCache:
    """Return an empty cache of compiled plans whose use is counted."""
    hits = Counter(
        "ratel_plan_cache_hits", "Plans that were compiled already when a call needed them.", registry=registry
    )
    misses = Counter("ratel_plan_cache_misses", "Plans that a call had to load and compile.", registry=registry)
    revision = Gauge("ratel_plan_cache_revision", "The catalog's revision that was rated by last.", registry=registry)

    def observe(hit_count: int, miss_count: int, number: int) -> None:
        hits.inc(hit_count)
        misses.inc(miss_count)
        revision.set(number)

    return PlanCache(observe)
