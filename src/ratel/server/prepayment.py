"""The part of the accounts' service that is about what pays for charges: commitments, balances, transactions."""

from collections.abc import Callable
from datetime import datetime

from ratel.account.v1 import account_service_pb2 as pb
from ratel.account.v1.account_service_pb2_grpc import AccountServiceServicer
from ratel.core.prepayment import Balance, BalanceTransaction, Commitment
from ratel.server import clock, noun
from ratel.server.account_noun import BALANCE, BALANCE_TRANSACTION, COMMITMENT
from ratel.server.errors import Context
from ratel.store import resource
from ratel.store.account import ACCOUNTS, lock_account
from ratel.store.pool import Connection, Database
from ratel.store.prepayment import BALANCE_TRANSACTIONS, BALANCES, COMMITMENTS, balance_of
from ratel.store.resource import Stored


class Prepayments(AccountServiceServicer):
    """Answers the methods of commitments and balances."""

    def __init__(self, database: Database, now: Callable[[], datetime] = clock.now) -> None:
        self._database = database
        self._now = now

    # --- Commitment ---

    async def CreateCommitment(
        self, request: pb.CreateCommitmentRequest, context: Context
    ) -> pb.CreateCommitmentResponse:
        async with self._database.transaction() as connection:
            await lock_account(connection, request.commitment.account_id)
            stored = await noun.create(connection, COMMITMENT, request.commitment, self._now())
        return pb.CreateCommitmentResponse(commitment=COMMITMENT.message(stored))

    async def GetCommitment(self, request: pb.GetCommitmentRequest, context: Context) -> pb.GetCommitmentResponse:
        async with self._database.connection() as connection:
            stored = await resource.get(connection, COMMITMENTS, request.id)
        return pb.GetCommitmentResponse(commitment=COMMITMENT.message(stored))

    async def ListCommitments(self, request: pb.ListCommitmentsRequest, context: Context) -> pb.ListCommitmentsResponse:
        async with self._database.connection() as connection:
            await resource.get(connection, ACCOUNTS, request.account_id)
            commitments, token = await noun.page(connection, COMMITMENT, request, request.account_id)
        return pb.ListCommitmentsResponse(commitments=commitments, next_page_token=token)

    async def UpdateCommitment(
        self, request: pb.UpdateCommitmentRequest, context: Context
    ) -> pb.UpdateCommitmentResponse:
        async with self._database.transaction() as connection:
            old = await _locked_commitment(connection, request.commitment.id)
            stored = await noun.update(connection, COMMITMENT, old, request, self._now())
        return pb.UpdateCommitmentResponse(commitment=COMMITMENT.message(stored))

    async def DeleteCommitment(
        self, request: pb.DeleteCommitmentRequest, context: Context
    ) -> pb.DeleteCommitmentResponse:
        async with self._database.transaction() as connection:
            resource.check_etag(COMMITMENTS, await _locked_commitment(connection, request.id), request.etag)
            await resource.delete(connection, COMMITMENTS, request.id)
        return pb.DeleteCommitmentResponse()

    # --- Balance ---

    async def CreateBalance(self, request: pb.CreateBalanceRequest, context: Context) -> pb.CreateBalanceResponse:
        async with self._database.transaction() as connection:
            await lock_account(connection, request.balance.account_id)
            stored = await noun.create(connection, BALANCE, request.balance, self._now())
        return pb.CreateBalanceResponse(balance=BALANCE.message(stored))

    async def GetBalance(self, request: pb.GetBalanceRequest, context: Context) -> pb.GetBalanceResponse:
        async with self._database.connection() as connection:
            stored = await resource.get(connection, BALANCES, request.id)
        return pb.GetBalanceResponse(balance=BALANCE.message(stored))

    async def ListBalances(self, request: pb.ListBalancesRequest, context: Context) -> pb.ListBalancesResponse:
        async with self._database.connection() as connection:
            await resource.get(connection, ACCOUNTS, request.account_id)
            balances, token = await noun.page(connection, BALANCE, request, request.account_id)
        return pb.ListBalancesResponse(balances=balances, next_page_token=token)

    async def UpdateBalance(self, request: pb.UpdateBalanceRequest, context: Context) -> pb.UpdateBalanceResponse:
        async with self._database.transaction() as connection:
            old = await _locked_balance(connection, request.balance.id)
            stored = await noun.update(connection, BALANCE, old, request, self._now())
        return pb.UpdateBalanceResponse(balance=BALANCE.message(stored))

    async def DeleteBalance(self, request: pb.DeleteBalanceRequest, context: Context) -> pb.DeleteBalanceResponse:
        async with self._database.transaction() as connection:
            resource.check_etag(BALANCES, await _locked_balance(connection, request.id), request.etag)
            await resource.delete(connection, BALANCES, request.id)
        return pb.DeleteBalanceResponse()

    # --- Balance transaction ---

    async def CreateBalanceTransaction(
        self, request: pb.CreateBalanceTransactionRequest, context: Context
    ) -> pb.CreateBalanceTransactionResponse:
        async with self._database.transaction() as connection:
            balance = await balance_of(connection, request.balance_transaction.balance_id)
            await lock_account(connection, balance.account_id)
            stored = await noun.create(connection, BALANCE_TRANSACTION, request.balance_transaction, self._now())
        return pb.CreateBalanceTransactionResponse(balance_transaction=BALANCE_TRANSACTION.message(stored))

    async def ListBalanceTransactions(
        self, request: pb.ListBalanceTransactionsRequest, context: Context
    ) -> pb.ListBalanceTransactionsResponse:
        async with self._database.connection() as connection:
            await balance_of(connection, request.balance_id)
            found, token = await noun.page(connection, BALANCE_TRANSACTION, request, request.balance_id)
        return pb.ListBalanceTransactionsResponse(balance_transactions=found, next_page_token=token)

    async def DeleteBalanceTransaction(
        self, request: pb.DeleteBalanceTransactionRequest, context: Context
    ) -> pb.DeleteBalanceTransactionResponse:
        async with self._database.transaction() as connection:
            stored = await _locked_transaction(connection, request.id)
            resource.check_etag(BALANCE_TRANSACTIONS, stored, request.etag)
            await resource.delete(connection, BALANCE_TRANSACTIONS, request.id)
        return pb.DeleteBalanceTransactionResponse()


async def _locked_commitment(connection: Connection, commitment_id: str) -> Stored[Commitment]:
    """Return a commitment, read again once its account is locked."""
    found = await resource.get(connection, COMMITMENTS, commitment_id)
    await lock_account(connection, found.value.account_id)
    return await resource.get(connection, COMMITMENTS, commitment_id)


async def _locked_balance(connection: Connection, balance_id: str) -> Stored[Balance]:
    found = await resource.get(connection, BALANCES, balance_id)
    await lock_account(connection, found.value.account_id)
    return await resource.get(connection, BALANCES, balance_id)


async def _locked_transaction(connection: Connection, transaction_id: str) -> Stored[BalanceTransaction]:
    found = await resource.get(connection, BALANCE_TRANSACTIONS, transaction_id)
    await _locked_balance(connection, found.value.balance_id)
    return await resource.get(connection, BALANCE_TRANSACTIONS, transaction_id)
