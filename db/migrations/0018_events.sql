-- Events of the card company: whose they are, what waits for a person, what is tried again, and how far its own list of them was read.

-- Written on whatever we make at the card company, so that two installations with one account there tell their objects apart.
alter table installation add column id uuid not null default gen_random_uuid();

alter table inbox
  add column kind            text,          -- what happened, in the sender's word: 'refund.created'; null for an SMS
  add column next_attempt_at timestamptz,   -- house time; null while unhandled: two minutes after it was received
  add column set_aside_at    timestamptz,   -- house time; a person must look, and nobody tries again before he has
  add constraint set_aside_or_handled check (set_aside_at is null or handled_at is null);
-- While handled_at is null, the outcome 'unknown_object' says that nothing of ours is known by its names yet.

-- Staff read the events newest first, with the SMS of a busy house between them.
create index inbox_of_stripe on inbox (id) where source = 'stripe';

-- How far the card company's list of events was read, and whether its webhooks can reach us. One row. Wire time, all of it.
create table card_event_state (
  only_row       boolean primary key default true check (only_row),
  began_at       timestamptz not null default now(),   -- the first start: what happened before is none of ours
  anchored       boolean not null default false,       -- whether the account's newest event as of began_at was looked up
  last_event_id  text,                                 -- everything up to it is in the inbox; null: nothing happened before began_at
  last_event_at  timestamptz,                          -- when that happened
  read_at        timestamptz,                          -- the list was last read to its end
  last_error     text,                                 -- why the last reading failed
  -- The list is kept for 30 days. When the gap is longer, the objects themselves are gone through: what is left of that, else null.
  object_sweep   json,
  -- The test of the address to which webhooks are sent.
  tested_at      timestamptz,
  test_problem   text                                  -- in words; null: it works, or was not tested
);
