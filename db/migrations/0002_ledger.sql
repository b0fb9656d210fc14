-- The ledger. Rows of transfers and house_entries are never updated or deleted; the server's role may not write any of these
-- tables directly, only execute the functions in server/ledger/*.sql.

create type transfer_kind as enum ('credit', 'debit', 'hold', 'capture', 'void', 'clawback_debit', 'clawback_hold');

-- One row per customer. A balance is a row, not a scan. No index beside the key, so that updates stay in place (HOT).
create table ledger_accounts (
  id             bigint primary key,
  credits        bigint not null default 0,           -- everything that ever came in, micro-dollars like all amounts here
  debits         bigint not null default 0,           -- everything that ever went out
  held           bigint not null default 0,           -- sum of the open holds
  frozen         bigint not null default 0,           -- sum of the open clawback holds
  owed           bigint not null default 0,           -- what clawbacks took beyond what was there
  suspended      boolean not null default false,      -- refuses holds; everything else goes on
  transfer_count bigint not null default 0,           -- the running number of the last transfer
  open_holds     int[] not null default array_fill(0, array[16]),  -- unresolved holds by code (chart.ts), for open_max
  last_at        timestamptz not null default '-infinity',          -- house time of the last transfer: time does not run backwards
  constraint no_negative_counter check (credits >= 0 and debits >= 0 and held >= 0 and frozen >= 0 and owed >= 0),
  constraint nothing_spent_twice check (debits + held + frozen <= credits + owed),
  constraint owed_is_exact check (owed = greatest(0, debits + held + frozen - credits))
) with (fillfactor = 50);

create sequence transfer_seq;

create table transfers (
  id              uuid not null primary key,          -- chosen by the caller: the idempotency key
  seq             bigint not null default nextval('transfer_seq'),
  account_id      bigint not null,
  number          bigint not null,                    -- 1, 2, 3 … within the account: a deleted row is a visible gap
  kind            transfer_kind not null,
  code            smallint not null,                  -- the cause (chart.ts)
  contra          smallint not null,                  -- the platform account on the other side (chart.ts)
  amount          bigint not null,
  returned        bigint not null default 0,          -- a capture of less than its hold gives the rest back in the same row
  hold_id         uuid,                               -- the hold that a capture or a void resolves
  reference       uuid not null,                      -- what caused it: an order, a top-up
  available_after bigint not null,
  held_after      bigint not null,
  frozen_after    bigint not null,
  owed_after      bigint not null,
  happened_at     timestamptz not null,               -- house time both
  recorded_at     timestamptz not null,
  constraint amount_is_positive check (amount > 0 and returned >= 0),
  constraint resolutions_name_their_hold check ((kind in ('capture', 'void')) = (hold_id is not null))
);
-- A hold is resolved once because this index says so.
create unique index transfers_resolves on transfers (hold_id) where hold_id is not null;
-- The history's order and the cursor of its pages.
create unique index transfers_history on transfers (account_id, number);

-- Holds that wait. A row is written with the hold and deleted with its resolution.
create table open_holds (
  hold_id    uuid primary key,
  account_id bigint not null,
  code       smallint not null,
  amount     bigint not null check (amount > 0),
  expires_at timestamptz not null,                    -- house time; movable
  on_expiry  text not null check (on_expiry in ('void', 'alarm'))
);
-- What the ledger's own sweep reads.
create index open_holds_due on open_holds (expires_at);

-- Movements without a customer: fees, payouts, suppliers' costs, rounding. Both sides are platform accounts.
create table house_entries (
  id          uuid not null primary key,
  seq         bigint not null default nextval('transfer_seq'),
  debit       smallint not null,
  credit      smallint not null,
  amount      bigint not null check (amount > 0),
  code        smallint not null,
  reference   uuid not null,
  happened_at timestamptz not null,
  recorded_at timestamptz not null,
  constraint two_sides check (debit <> credit)
);

-- What each batch did to each platform account: appended, never updated, so that no platform account is a hot row.
create table platform_deltas (
  platform smallint not null,
  code     smallint not null,
  debits   bigint not null,
  credits  bigint not null,
  entries  int not null
);

-- The totals of the platform accounts, exact in any snapshot.
create view platform_totals as
select platform,
       code,
       sum(debits)::bigint  as debits,
       sum(credits)::bigint as credits,
       sum(entries)::bigint as entries
  from platform_deltas
 group by platform, code;
