-- Reconciliation: the card company's account of what moved, beside ours, compared in both directions.

-- Each movement of our balance at the card company, as it told it; it never changes one. Times are the card company's: wire time.
create table balance_transactions (
  id          text primary key,                       -- txn_…
  type        text not null,                          -- as it names them; open lists, both
  reporting_category text not null,
  currency    text not null,
  amount      bigint not null,                        -- in its smallest unit: cents; below zero: taken from us
  fee         bigint not null,
  net         bigint not null,
  source      text,                                   -- what caused it there: a charge, a refund, a dispute, a payout
  created     timestamptz not null,
  available_on timestamptz not null,
  read_at     timestamptz not null default now(),     -- wire time
  -- Found out by asking for the source; null: nobody could say yet. 'house': fees and payouts of the account itself.
  owner       text check (owner in ('ours', 'foreign', 'house')),
  reference   uuid,                                   -- the top-up that its source says it belongs to, known here or not
  booked_at   timestamptz,                            -- wire time; it has its one counterpart here, and the house's part of it is booked
  constraint net_is_the_rest check (net = amount - fee),
  constraint ours_has_a_topup check (owner is distinct from 'ours' or reference is not null)
);
-- The counterparts of what we know.
create index balance_transactions_of_source on balance_transactions (source);
-- What was not matched yet; small.
create index balance_transactions_left on balance_transactions (created) where booked_at is null and owner is distinct from 'foreign';

-- How far it was read. One row a rail. A read that was cut short goes on at its page.
create table reconciliation_reads (
  rail        text primary key,
  read_until  timestamptz not null,                   -- wire time; everything before was read, but for what appears late
  pass_until  timestamptz,                            -- of the pass under way: where it ends
  pass_after  text                                    -- and the last entry that it has read
);

create table reconciliations (
  id          uuid primary key,
  rail        text not null,
  started_by  text not null check (started_by in ('schedule', 'staff', 'command')),
  status      text not null default 'running' check (status in ('running', 'clean', 'open', 'failed')),
  step        text not null default 'reading',        -- what it does at the moment, in one word
  entries     int not null default 0,                 -- read in this run
  result      json,                                   -- what was compared, and the sums; written with the end
  error       text,                                   -- why it could not be brought to its end
  started_at  timestamptz not null default now(),     -- wire time, all of these
  ended_at    timestamptz,
  claimed_until timestamptz not null,                 -- a run that is silent for so long has died
  constraint ended_or_running check ((status = 'running') = (ended_at is null)),
  constraint failed_for_a_reason check ((status = 'failed') = (error is not null))
);
-- One at a time.
create unique index reconciliations_running on reconciliations (rail) where status = 'running';
-- The last ones.
create index reconciliations_of_rail on reconciliations (rail, id);

-- What does not fit, each once; it stays, closed, when it fits at last.
create table reconciliation_items (
  key         text primary key,                       -- kind and subject: the same difference is the same row
  rail        text not null,
  kind        text not null,
  state       text not null check (state in ('waiting', 'open', 'closed')),  -- waiting: too young to be a difference
  external_id text,                                   -- there
  topup_id    uuid,                                   -- here; a top-up that is not known here, too
  ours        bigint,                                 -- micro-dollars, both; null: there is none
  theirs      bigint,
  since       timestamptz not null,                   -- when it happened, where it happened
  found_at    timestamptz not null default now(),     -- wire time, from here on
  closed_at   timestamptz,
  called      boolean not null default false,         -- somebody was called for it, once
  tries       int not null default 0,                 -- how often it was tried to be mended by itself
  tried_at    timestamptz,
  last_error  text,
  constraint closed_or_not check ((state = 'closed') = (closed_at is not null))
);
-- What is shown, and what is tried again.
create index reconciliation_items_left on reconciliation_items (rail, state) where state <> 'closed';
