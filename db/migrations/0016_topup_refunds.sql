-- Refunds to the card: what goes back of a top-up. Ours, and those that somebody made at the card company itself.

create table topup_refunds (
  id          uuid primary key,
  topup_id    uuid not null references topups (id),
  account_id  bigint not null,
  amount      bigint not null check (amount > 0 and amount % 10000 = 0),   -- whole cents, in micro-dollars
  origin      text not null check (origin in ('you', 'us', 'card_company')),
  status      text not null default 'requested' check (status in ('requested', 'pending', 'succeeded', 'failed')),
  reason      text,                                   -- why it failed, as a customer may know it

  -- What of it moved in the ledger: all of it; of one made at the card company no more than was left of the top-up.
  booked      bigint not null,

  -- The intent, written before the call that it describes: its idempotency key and every parameter; a repetition is the same call.
  -- json keeps the text as it was. Null: not our call, we learned of it.
  refund_call json,
  asked_at    timestamptz not null default now(),     -- wire time

  -- What the card company said.
  external_id text unique,                            -- null: the call's outcome is not known yet
  external_status text,                               -- in its own word
  failure_reason text,                                -- in its own word
  reference   text,                                   -- by which the customer's bank finds it

  -- House time.
  requested_at timestamptz not null,
  succeeded_at timestamptz,                           -- stays when it fails later: what was taken then is given back
  ended_at    timestamptz,                            -- succeeded or failed

  -- Who is looking; the same as in topups.
  look        int not null default 0,
  look_done   int not null default 0,
  claimed_until timestamptz,
  next_look_at timestamptz,                           -- null: nothing is left to find out
  last_error  text,

  constraint ours_with_its_call check ((origin = 'card_company') = (refund_call is null)),
  constraint learned_with_its_id check (origin <> 'card_company' or external_id is not null),
  constraint booked_as_far_as_it_went check (booked between 0 and amount and (origin = 'card_company' or booked = amount)),
  constraint under_way_outside check (status not in ('pending', 'succeeded') or external_id is not null),
  constraint failed_with_a_reason check ((status = 'failed') = (reason is not null)),
  constraint succeeded_at_a_time check (status <> 'succeeded' or succeeded_at is not null),
  constraint ended_or_under_way check ((status in ('succeeded', 'failed')) = (ended_at is not null))
);
-- What is left of a top-up, and its page.
create index topup_refunds_of_topup on topup_refunds (topup_id);
-- What the sweeper looks at next.
create index topup_refunds_to_look_at on topup_refunds (next_look_at) where next_look_at is not null;
