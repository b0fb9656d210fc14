-- Top-ups: outside money on its way to becoming credit. Here: by card.

create table topups (
  id          uuid primary key,
  account_id  bigint not null,
  amount      bigint not null check (amount > 0 and amount % 10000 = 0),   -- whole cents, in micro-dollars
  status      text not null default 'awaiting_payment'
              check (status in ('awaiting_payment', 'confirming', 'credited', 'refused', 'expired')),
  reason      text,                                   -- why it was refused; while it still waits: why the last attempt failed

  -- The intent, written before the call that it describes; a repetition is the same call. json keeps the text as it was.
  session_call json not null,
  asked_at    timestamptz not null default now(),     -- wire time
  session_id  text unique,                            -- null: the call's outcome is not known yet
  checkout_url text,
  handed_out  boolean not null default false,         -- the customer may know the address: the row is his, not ours to abandon

  -- What the card company said.
  payment_intent_id text unique,
  charge_id   text unique,
  card_brand  text,
  card_last4  text,
  three_d_secure json,                                -- result, flow, version, transaction id: evidence in a dispute
  release_due boolean not null default false,         -- decided: the authorisation is let go; the bank has not been told for certain
  bank_may_show_pending boolean not null default false,

  -- The trace. House time, all of these.
  created_at  timestamptz not null,
  expires_at  timestamptz not null,
  bank_asked_at timestamptz,
  bank_answered_at timestamptz,
  taken_at    timestamptz,
  credited_at timestamptz,
  ended_at    timestamptz,                            -- refused or expired

  -- Who is looking. A look is numbered: what an older look wants to write is refused, and who asked during a look waits for the
  -- next one, which he may have to make himself. Wire time.
  look        int not null default 0,                 -- the last look that began
  look_done   int not null default 0,                 -- the last look that ended
  claimed_until timestamptz,                          -- a look that did not end by then has died; anyone may begin the next
  next_look_at timestamptz,                           -- what the sweeper reads; null: nothing is left to find out
  last_error  text,                                   -- why the last look could not find out

  constraint refused_with_a_reason check (status <> 'refused' or reason is not null),
  constraint credited_with_its_charge check ((status = 'credited') = (credited_at is not null)
    and (status <> 'credited' or (payment_intent_id is not null and charge_id is not null and reason is null))),
  constraint confirming_a_payment check (status <> 'confirming' or payment_intent_id is not null),
  constraint handed_out_with_an_address check (not handed_out or session_id is not null),
  constraint let_go_after_refusal check (not release_due or status = 'refused'),
  constraint ended_or_open check ((status in ('refused', 'expired')) = (ended_at is not null))
);
-- A customer's top-ups, newest first (ids are time-ordered).
create index topups_of_account on topups (account_id, id);
-- What the sweeper looks at next.
create index topups_to_look_at on topups (next_look_at) where next_look_at is not null;
-- What is on its way to a customer's balance.
create index topups_on_their_way on topups (account_id) where status = 'confirming';
