-- The whole schema of Ratel. Until version 1 is released this file is edited, not followed by others.
--
-- Citus: the catalog, accounts, and what they have agreed to are reference tables; events, rollup_buckets, rollup_values and
-- counter_adjustments are distributed by account_no, which every key of theirs contains; pending_batches and
-- usage_revisions are local.

create extension if not exists btree_gist;

-- Every row that a caller may change takes its etag here, so that no etag ever comes back.
create sequence etags;

-- Moves with every write to the catalog and the settings, in the same transaction: who reads it in a snapshot knows
-- whether a compiled plan is still the plan. Its row lock lets catalog writes happen one after the other.
create table catalog_revisions (
    singleton boolean primary key default true constraint catalog_revisions_singleton check (singleton),
    revision bigint not null
);
insert into catalog_revisions (revision) values (1);

create table settings (
    singleton boolean primary key default true constraint settings_singleton check (singleton),
    time_zone text not null,
    default_currency text not null,
    standing_charge_in_advance boolean not null,
    minimum_spend_in_advance boolean not null,
    day_epoch date,
    week_epoch date,
    month_epoch date,
    year_epoch date,
    rounding_mode text not null,
    -- What one of a currency is in another: one element each.
    from_currencies text[] not null default '{}',
    to_currencies text[] not null default '{}',
    currency_rates numeric[] not null default '{}',
    commitment_fee_in_advance boolean not null default false,
    credit_application_order text[] not null default '{}',
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null
);
insert into settings (time_zone, default_currency, standing_charge_in_advance, minimum_spend_in_advance, rounding_mode, create_time, update_time)
values ('UTC', 'USD', false, false, 'HALF_UP', 'epoch', 'epoch');

-- Ids are compared byte by byte: lists page in the order of the "C" collation on every machine.

create table products (
    id text collate "C" constraint products_pkey primary key,
    name text not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null
);

create table meters (
    id text collate "C" constraint meters_pkey primary key,
    meter_no integer generated always as identity constraint meters_number unique,
    product_id text collate "C" not null constraint meters_product references products (id),
    name text not null,
    -- One element for each field, in the order of declaration, which only ever grows: events store values by it.
    field_names text[] not null,
    field_kinds text[] not null,
    field_units text[] not null,
    field_formulas text[] not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null
);
-- Lists of one product.
create index meters_by_product on meters (product_id);

-- A row as soon as a meter has an event: the foreign key lets neither a used meter be deleted nor a deleted one be used.
create table used_meters (
    meter_no integer constraint used_meters_pkey primary key constraint used_meters_meter references meters (meter_no)
);

-- What events are rolled up by: one field (or none: the events are counted), the dimensions by which sums are kept apart,
-- and whether distinct values are kept. Aggregations that need the same share one.
create table rollups (
    rollup_no integer generated always as identity constraint rollups_pkey primary key,
    meter_no integer not null constraint rollups_meter references meters (meter_no) on delete cascade,
    field text collate "C" not null,
    keeps_values boolean not null,
    dimensions text[] not null,
    -- Whether it is kept when values were, as value_moment of the buckets.
    keeps_moment boolean not null,
    -- Events of batches up to this id, but those in backfill_excluded, are folded by the backfill, all others by the fold.
    backfill_batch_id bigint not null,
    backfill_excluded bigint[] not null,
    -- How far the backfill has come; the rollup is complete when it is backfill_batch_id.
    backfilled_batch_id bigint not null,
    -- Made when older events were gone: what it says of the time before is not all. Null: it knows all of them.
    complete_from timestamptz,
    constraint rollups_definition unique (meter_no, field, keeps_values, dimensions, keeps_moment)
);

create table aggregations (
    id text collate "C" constraint aggregations_pkey primary key,
    meter_id text collate "C" not null constraint aggregations_meter references meters (id),
    rollup_no integer not null constraint aggregations_rollup references rollups (rollup_no),
    name text not null,
    method text not null,
    field text not null,
    default_quantity numeric,
    quantity_per_unit numeric not null,
    rounding text not null,
    unit text not null,
    filter_field text,
    filter_values text[],
    segment_fields text[] not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null
);
-- Lists of one product, and whether a meter may be deleted.
create index aggregations_by_meter on aggregations (meter_id);
-- Whether a rollup is still needed.
create index aggregations_by_rollup on aggregations (rollup_no);

create table compound_aggregations (
    id text collate "C" constraint compound_aggregations_pkey primary key,
    product_id text collate "C" not null constraint compound_aggregations_product references products (id),
    name text not null,
    formula text not null,
    quantity_per_unit numeric not null,
    rounding text not null,
    unit text not null,
    null_as_zero boolean not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index compound_aggregations_by_product on compound_aggregations (product_id);

create table compound_operands (
    compound_aggregation_id text collate "C" not null
        constraint compound_operands_compound references compound_aggregations (id) on delete cascade,
    aggregation_id text collate "C" not null constraint compound_operands_aggregation references aggregations (id),
    constraint compound_operands_pkey primary key (compound_aggregation_id, aggregation_id)
);
-- Whether an aggregation may be deleted.
create index compound_operands_by_aggregation on compound_operands (aggregation_id);

create table counters (
    id text collate "C" constraint counters_pkey primary key,
    product_id text collate "C" not null constraint counters_product references products (id),
    name text not null,
    unit text not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index counters_by_product on counters (product_id);

create table plan_templates (
    id text collate "C" constraint plan_templates_pkey primary key,
    product_id text collate "C" not null constraint plan_templates_product references products (id),
    name text not null,
    currency text not null,
    bill_frequency text not null,
    bill_interval integer not null,
    standing_charge numeric,
    standing_charge_in_advance boolean,
    standing_charge_interval integer,
    standing_charge_offset integer,
    standing_charge_description text,
    minimum_spend numeric,
    minimum_spend_in_advance boolean,
    minimum_spend_description text,
    maximum_spend numeric,
    maximum_spend_description text,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index plan_templates_by_product on plan_templates (product_id);

-- Accounts are never deleted; events name them by number. A reference table on Citus, since ids are unique everywhere.
create table accounts (
    id text collate "C" constraint accounts_pkey primary key,
    account_no integer generated always as identity constraint accounts_number unique,
    name text not null,
    epoch date,
    -- What its ratings and bills are in; empty: whatever its plans are in.
    currency text not null default '',
    credit_application_order text[] not null default '{}',
    -- Pays for what no attachment of the account's own covers.
    parent_account_no integer,
    child_billing text collate "C" not null default 'SUMMARY' constraint accounts_child_billing check (child_billing in ('SUMMARY', 'BREAKDOWN')),
    billed_with_parent boolean not null default false,
    -- Moves with every write to the account and to all that is the account's but usage, in the same transaction: who reads
    -- it in a snapshot knows whether what was read before is still so. A parent's moves when it gains or loses a child.
    version bigint not null default 0,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null,
    constraint accounts_billed_with_parent check (parent_account_no is not null or not billed_with_parent),
    -- A parent has no parent: what names one names it as no child, and then it cannot become one.
    is_child boolean not null generated always as (parent_account_no is not null) stored,
    is_parent_child boolean generated always as (case when parent_account_no is not null then false end) stored,
    constraint accounts_place unique (account_no, is_child),
    constraint accounts_parent foreign key (parent_account_no, is_parent_child) references accounts (account_no, is_child)
);
-- The children of an account, in order.
create index accounts_by_parent on accounts (parent_account_no, id) where parent_account_no is not null;

create table plans (
    id text collate "C" constraint plans_pkey primary key,
    plan_template_id text collate "C" not null constraint plans_template references plan_templates (id),
    name text not null,
    account_id text collate "C" constraint plans_account references accounts (id),
    standing_charge numeric,
    standing_charge_in_advance boolean,
    standing_charge_interval integer,
    standing_charge_offset integer,
    standing_charge_description text,
    minimum_spend numeric,
    minimum_spend_in_advance boolean,
    minimum_spend_description text,
    maximum_spend numeric,
    maximum_spend_description text,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null
);
-- Which plans inherit from a template.
create index plans_by_template on plans (plan_template_id);

-- Plans that have a minimum or maximum spend together; a plan is in one group at most.
create table plan_groups (
    id text collate "C" constraint plan_groups_pkey primary key,
    name text not null,
    currency text not null,
    minimum_spend numeric,
    minimum_spend_description text not null,
    maximum_spend numeric,
    maximum_spend_description text not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null
);

create table plan_group_plans (
    plan_id text collate "C" constraint plan_group_plans_pkey primary key
        constraint plan_group_plans_plan references plans (id),
    plan_group_id text collate "C" not null
        constraint plan_group_plans_group references plan_groups (id) on delete cascade
);
-- The plans of a group.
create index plan_group_plans_by_group on plan_group_plans (plan_group_id);

create table pricings (
    id text collate "C" constraint pricings_pkey primary key,
    plan_id text collate "C" constraint pricings_plan references plans (id),
    plan_template_id text collate "C" constraint pricings_template references plan_templates (id),
    aggregation_id text collate "C" constraint pricings_aggregation references aggregations (id),
    compound_aggregation_id text collate "C" constraint pricings_compound references compound_aggregations (id),
    counter_id text collate "C" constraint pricings_counter references counters (id),
    -- A value for each of the aggregation's segment fields, in their order, and the 16 bytes that stand for them.
    segment text[] not null,
    segment_key uuid not null,
    pool boolean not null,
    start_time timestamptz not null,
    end_time timestamptz,
    cumulative boolean not null,
    -- The bands: one element each.
    lower_limits numeric[] not null,
    unit_prices numeric[] not null,
    fixed_prices numeric[] not null,
    block_sizes numeric[] not null,
    -- The overage bands: one element each.
    overage_lower_limits numeric[] not null,
    overage_unit_prices numeric[] not null,
    charge_zero boolean not null,
    minimum_spend numeric,
    minimum_spend_in_advance boolean,
    minimum_spend_description text not null,
    maximum_spend numeric,
    maximum_spend_description text not null,
    description text not null,
    apply_as text not null,
    accumulate boolean not null,
    accumulation_mode text,
    running_total_in_advance boolean not null,
    prorate_running_total boolean not null,
    prorate_debit boolean not null,
    prorate_credit boolean not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null,
    constraint pricings_owner check (num_nonnulls(plan_id, plan_template_id) = 1),
    constraint pricings_priced check (num_nonnulls(aggregation_id, compound_aggregation_id, counter_id) = 1),
    constraint pricings_period check (start_time < end_time),
    -- At most one pricing at any instant for each owner, thing and segment. Ids of plans and templates, and of the three
    -- kinds of things, may be the same text, hence the letters.
    constraint pricings_overlap exclude using gist (
        (coalesce('p' || plan_id, 't' || plan_template_id)) with =,
        (coalesce('a' || aggregation_id, 'c' || compound_aggregation_id, 'n' || counter_id)) with =,
        segment_key with =,
        tstzrange(start_time, end_time) with &&
    )
);
create index pricings_by_plan on pricings (plan_id);
create index pricings_by_template on pricings (plan_template_id);
create index pricings_by_aggregation on pricings (aggregation_id);
create index pricings_by_compound on pricings (compound_aggregation_id);
create index pricings_by_counter on pricings (counter_id);

-- What a plan or template has ever priced, also by a pricing that was deleted: usage of it is never silently free.
create table priced_things (
    plan_id text collate "C" constraint priced_things_plan references plans (id) on delete cascade,
    plan_template_id text collate "C" constraint priced_things_template references plan_templates (id) on delete cascade,
    aggregation_id text collate "C" constraint priced_things_aggregation references aggregations (id) on delete cascade,
    compound_aggregation_id text collate "C"
        constraint priced_things_compound references compound_aggregations (id) on delete cascade,
    constraint priced_things_owner check (num_nonnulls(plan_id, plan_template_id) = 1),
    constraint priced_things_priced check (num_nonnulls(aggregation_id, compound_aggregation_id) = 1),
    constraint priced_things_once unique nulls not distinct (plan_id, plan_template_id, aggregation_id, compound_aggregation_id)
);

create table promotions (
    id text collate "C" constraint promotions_pkey primary key,
    name text not null,
    plan_id text collate "C" constraint promotions_plan references plans (id),
    pricing_id text collate "C" constraint promotions_pricing references pricings (id),
    -- The one combination that it acts on: one element each; none for all.
    segment_fields text[] not null,
    segment_values text[] not null,
    -- What it takes off: a percentage, an amount, or bands of spend, one element each.
    percentage numeric,
    fixed_amount numeric,
    lower_limits numeric[],
    percentages numeric[],
    currency text not null,
    bill_period_count integer,
    max_per_period numeric,
    max_total numeric,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null,
    constraint promotions_scope check (num_nonnulls(plan_id, pricing_id) = 1),
    constraint promotions_discount check (num_nonnulls(percentage, fixed_amount, lower_limits) = 1)
);
-- Whether a plan or a pricing may be deleted, and lists of one plan.
create index promotions_by_plan on promotions (plan_id);
create index promotions_by_pricing on promotions (pricing_id);

create table add_ons (
    id text collate "C" constraint add_ons_pkey primary key,
    product_id text collate "C" not null constraint add_ons_product references products (id),
    name text not null,
    currency text not null,
    flat_price numeric,
    setup_fee numeric,
    -- Read as a whole and never searched; decimals are texts.
    rates jsonb not null,
    trial_days integer not null,
    grace_days integer not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null
);
-- Lists of one product, and whether it may be deleted.
create index add_ons_by_product on add_ons (product_id);

create table purchases (
    id text collate "C" constraint purchases_pkey primary key,
    account_no integer not null constraint purchases_account references accounts (account_no),
    add_on_id text collate "C" not null constraint purchases_add_on references add_ons (id),
    purchase_time timestamptz not null,
    cancel_time timestamptz,
    units text[] not null,
    quantities numeric[] not null,
    pays_setup_fee boolean not null,
    -- The add-on as it was when it was bought: what a bill is computed from.
    product_id text collate "C" not null,
    name text not null,
    currency text not null,
    flat_price numeric,
    setup_fee numeric,
    rates jsonb not null,
    trial_days integer not null,
    grace_days integer not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null,
    constraint purchases_cancelled check (cancel_time >= purchase_time)
);
-- Bills read the purchases of one account.
create index purchases_by_account on purchases (account_no);
-- Whether an add-on may be deleted.
create index purchases_by_add_on on purchases (add_on_id);

create table ad_hoc_charges (
    id text collate "C" constraint ad_hoc_charges_pkey primary key,
    account_no integer not null constraint ad_hoc_charges_account references accounts (account_no),
    charge_time timestamptz not null,
    currency text not null,
    amount numeric not null,
    description text not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null
);
-- Bills read the charges of one account.
create index ad_hoc_charges_by_account on ad_hoc_charges (account_no);

-- What pays for charges before anybody else is asked to. Bills read all of one account.

create table commitments (
    id text collate "C" constraint commitments_pkey primary key,
    account_no integer not null constraint commitments_account references accounts (account_no),
    name text not null,
    currency text not null,
    amount numeric not null,
    start_time timestamptz not null,
    end_time timestamptz not null,
    -- The fees: one element each.
    fee_times timestamptz[] not null,
    fee_amounts numeric[] not null,
    -- Or the schedule; null without one.
    fee_plan_id text collate "C" constraint commitments_plan references plans (id),
    fee_period_count integer,
    fee_first_amount numeric,
    fee_in_advance boolean,
    product_ids text[] not null,
    line_item_kinds text[] not null,
    overage_surcharge_percent numeric,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null,
    constraint commitments_period check (start_time < end_time)
);
create index commitments_by_account on commitments (account_no);
-- Whether a plan may be deleted.
create index commitments_by_plan on commitments (fee_plan_id);

create table balances (
    id text collate "C" constraint balances_pkey primary key,
    account_no integer not null constraint balances_account references accounts (account_no),
    name text not null,
    currency text not null,
    start_time timestamptz not null,
    end_time timestamptz not null,
    rollover_amount numeric not null,
    rollover_end_time timestamptz,
    product_ids text[] not null,
    line_item_kinds text[] not null,
    overage_surcharge_percent numeric,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null,
    constraint balances_period check (start_time < end_time)
);
create index balances_by_account on balances (account_no);

create table balance_transactions (
    id text collate "C" constraint balance_transactions_pkey primary key,
    balance_id text collate "C" not null constraint balance_transactions_balance references balances (id),
    transaction_time timestamptz not null,
    amount numeric not null,
    fee numeric,
    description text not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index balance_transactions_by_balance on balance_transactions (balance_id);

create table grants (
    id text collate "C" constraint grants_pkey primary key,
    account_no integer not null constraint grants_account references accounts (account_no),
    promotion_id text collate "C" not null constraint grants_promotion references promotions (id),
    start_time timestamptz not null,
    end_time timestamptz,
    priority integer not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null,
    constraint grants_period check (start_time < end_time)
);
-- Rating reads the grants of one account.
create index grants_by_account on grants (account_no);
-- Whether a promotion may be deleted.
create index grants_by_promotion on grants (promotion_id);

create table attachments (
    id text collate "C" constraint attachments_pkey primary key,
    account_no integer not null constraint attachments_account references accounts (account_no),
    plan_id text collate "C" not null constraint attachments_plan references plans (id),
    -- The product of the plan's template, which never changes.
    product_id text collate "C" not null constraint attachments_product references products (id),
    start_time timestamptz not null,
    end_time timestamptz,
    epoch date,
    trial_end_time timestamptz,
    accumulation_start_time timestamptz,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null,
    constraint attachments_period check (start_time < end_time),
    -- At most one attachment at any instant for each account and product; also finds the attachments of an account.
    constraint attachments_overlap exclude using gist (
        account_no with =,
        product_id with =,
        tstzrange(start_time, end_time) with &&
    )
);
-- Whether a plan may be deleted, and whose periods a pricing cuts.
create index attachments_by_plan on attachments (plan_id);
-- Rating reads the attachments of one account; a B-tree finds them faster than the constraint's index.
create index attachments_by_account on attachments (account_no);

create table counter_adjustments (
    account_no integer not null constraint counter_adjustments_account references accounts (account_no),
    counter_id text collate "C" not null constraint counter_adjustments_counter references counters (id),
    date date not null,
    level numeric not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null,
    constraint counter_adjustments_pkey primary key (account_no, counter_id, date)
);
-- Whether a counter may be deleted.
create index counter_adjustments_by_counter on counter_adjustments (counter_id);

-- What an account owes on an invoice date for its plans of one frequency. Bills of one account and frequency stand in a row:
-- what one carries, later ones do not carry again.
create table bills (
    account_no integer not null constraint bills_account references accounts (account_no),
    frequency text collate "C" not null constraint bills_frequency check (frequency in ('DAILY', 'WEEKLY', 'MONTHLY', 'ANNUALLY')),
    invoice_date date not null,
    status text not null constraint bills_status check (status in ('PENDING', 'APPROVED', 'LOCKED')),
    is_stale boolean not null default false,
    -- 16 bytes that stand for the content of all its line items.
    digest uuid not null,
    total_currencies text[] not null,
    total_amounts numeric[] not null,
    -- What it was asked to be in, and what it is in; either may be empty. Then the rates into that, one element each.
    target_currency text not null,
    currency text not null,
    rate_currencies text[] not null,
    rates numeric[] not null,
    catalog_revision bigint not null,
    etag bigint not null default nextval('etags'),
    create_time timestamptz not null,
    update_time timestamptz not null,
    constraint bills_pkey primary key (account_no, frequency, invoice_date),
    constraint bills_fixed_not_stale check (status = 'PENDING' or not is_stale)
);

-- Columns hold what later bills need to know of a line; its content is the whole of it, with its workings. Written and
-- deleted together with its bill by whoever holds the account: a foreign key would look for the bill again for each line,
-- which took half of the time of writing them.
create table bill_line_items (
    account_no integer not null,
    frequency text collate "C" not null,
    invoice_date date not null,
    line_number integer not null,
    -- 16 bytes that stand for the item, the same on every bill of the account.
    item_key uuid not null,
    kind text not null,
    source_id text not null,
    pricing_id text collate "C" not null,
    service_end timestamptz not null,
    -- That of the bill to which the item belongs; this one may be in another, which its content shows.
    currency text not null,
    amount numeric not null,
    exact_amount numeric not null,
    content bytea not null,
    constraint bill_line_items_pkey primary key (account_no, frequency, invoice_date, line_number)
);
-- Whether a pricing rated an approved bill, and up to when: asked when it is to be changed.
create index bill_line_items_by_pricing on bill_line_items (pricing_id, service_end) where pricing_id <> '';

-- One number for each group of events that is committed together.
create sequence batch_ids;

-- The usage, kept for ever: the proof of every rollup. A canonical UUIDv7 is its own key; any other id is 0xff and 120 bits
-- of its hash, and stands beside in event_id. Ordered by width, so that rows have no padding.
create table events (
    event_key uuid not null,
    event_time timestamptz not null,
    batch_id bigint not null,
    account_no integer not null,
    meter_no integer not null,
    -- The first measure of the meter, and the further ones in the order of declaration.
    measure numeric,
    measures numeric[],
    -- The values of the string fields in the order of declaration; a missing one is null.
    strings text[],
    event_id text collate "C",
    constraint events_pkey primary key (event_key, account_no)
) partition by range (event_key);
-- Recovery folds a batch again, and a window's edges are read by time: both are neighbours on disk, so block ranges do.
create index events_by_batch on events using brin (batch_id) with (pages_per_range = 16, autosummarize = on);
create index events_by_time on events using brin (event_time timestamptz_minmax_multi_ops) with (pages_per_range = 16, autosummarize = on);

-- Keys of hashes, never dropped; and UUIDv7 of months for which no partition was made.
create table events_hashed partition of events for values from ('ff000000-0000-0000-0000-000000000000') to (maxvalue);
create table events_default partition of events default;

-- How far old events have been let go; see store/retention.py for the steps.
create table event_retention (
    singleton boolean primary key default true constraint event_retention_singleton check (singleton),
    -- UUIDv7 below it are refused; null: none are.
    least_key uuid,
    announce_time timestamptz,
    freeze_time timestamptz,
    -- Events before it may be gone; null: all are there.
    dropped_until timestamptz
);
insert into event_retention default values;

-- The batches whose events are not in the rollups yet.
create table pending_batches (
    batch_id bigint constraint pending_batches_pkey primary key,
    -- The process that wrote it, which folds it soonest; any other may do so later.
    owner uuid not null,
    -- Whether its events are no longer what was written, so that they must be read again.
    dirty boolean not null default false,
    event_count integer not null,
    min_event_time timestamptz not null,
    max_event_time timestamptz not null,
    create_time timestamptz not null,
    -- Whose events they are, each once: no rating of another account changes. Beside the rows, which are read very often.
    account_nos integer[] not null
) with (toast_tuple_target = 128);
alter table pending_batches alter column account_nos set storage external;

-- Moves by one for each batch that leaves pending_batches, in the same transaction, and for whatever else changes what is
-- read of usage. With the number of batches that are pending it grows with every batch that is committed, and is the same
-- as long as usage is.
create table usage_revisions (
    singleton boolean primary key default true constraint usage_revisions_singleton check (singleton),
    revision bigint not null
);
insert into usage_revisions (revision) values (0);

-- Sums of events by account, rollup, hour or day of UTC, and dimensions. Keyed so that a period is one range.
create table rollup_buckets (
    account_no integer not null,
    rollup_no integer not null,
    -- Hours in the bucket: 1 or 24.
    grain smallint not null constraint rollup_buckets_grain check (grain in (1, 24)),
    bucket_time timestamptz not null,
    -- 16 bytes that stand for the values of the dimensions: a key of fixed width whatever their length.
    segment_key uuid not null,
    segment text[] not null,
    event_count bigint not null,
    -- Of all of them: tells on which side of an instant inside the hour they lie.
    min_event_time timestamptz not null,
    max_event_time timestamptz not null,
    value_count bigint not null,
    value_sum numeric,
    value_min numeric,
    value_max numeric,
    latest_time timestamptz,
    latest_id text collate "C",
    latest_value numeric,
    -- The sum of value times microseconds since 1970, where it is kept; null stands for 0.
    value_moment numeric,
    constraint rollup_buckets_pkey primary key (account_no, rollup_no, grain, bucket_time, segment_key)
)
-- Those of the hour are written again with each fold: with room beside them, and as no index has what changes, a new
-- version costs no entry in the index.
with (fillfactor = 90);

-- The distinct values of a string field, where an aggregation needs them, as 16 bytes each.
create table rollup_values (
    account_no integer not null,
    rollup_no integer not null,
    grain smallint not null constraint rollup_values_grain check (grain in (1, 24)),
    bucket_time timestamptz not null,
    segment_key uuid not null,
    value_key uuid not null,
    segment text[] not null,
    constraint rollup_values_pkey primary key (account_no, rollup_no, grain, bucket_time, segment_key, value_key)
);
