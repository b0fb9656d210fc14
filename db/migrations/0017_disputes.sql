-- What a bank says against a payment afterwards: disputes and inquiries, and warnings of fraud. Each row is the last word of the card
-- company that we have, and what it did to the customer's credits; the credits themselves are the ledger's.

-- Evidence from the first day: who asked for the top-up. Null: it began before this was kept.
alter table topups
  add column started_address    text check (length(started_address) <= 100),
  add column started_user_agent text check (length(started_user_agent) <= 300);

create table disputes (
  id            uuid primary key,                     -- `dsp_…` on the wire
  external_id   text not null unique,                 -- the card company's: dp_…, du_…
  topup_id      uuid not null references topups,
  account_id    bigint not null,

  -- What the card company says.
  kind          text not null check (kind in ('inquiry', 'dispute')),   -- an inquiry may become a dispute
  stripe_status text not null,                        -- its word, also one that we do not know
  amount        bigint not null check (amount >= 0),  -- what is disputed, in micro-dollars
  reason        text not null,                        -- its word
  network_reason_code text,
  charge_refundable boolean not null,
  evidence_due_by timestamptz,                        -- wire time, as the bank's clocks have it; null: nothing is waited for

  -- What that means for the credits. The rest of the amount, beyond what the top-up still had, is the house's cost.
  state         text not null check (state in ('frozen', 'released', 'taken')),
  covered       bigint not null default 0,            -- frozen or taken
  shortfall     bigint not null default 0,            -- of what is covered, what had been spent when it was frozen: owed
  round         int not null default 0,               -- the last freeze's number; each round is a hold of its own
  hold_id       uuid unique,                          -- the open freeze

  opened_at     timestamptz not null,                 -- house time, these two
  closed_at     timestamptz,

  -- Who has looked. What a look found is written only where nobody has written since it began. Wire time.
  look          int not null default 0,
  next_look_at  timestamptz,                          -- what the sweeper reads; null: too old to be reopened
  last_error    text,

  constraint covered_within_the_amount check (covered between 0 and amount and shortfall between 0 and covered),
  constraint nothing_covered_when_released check (state <> 'released' or covered = 0),
  constraint frozen_by_a_hold check ((hold_id is not null) = (state = 'frozen' and covered > 0)),
  constraint closed_or_frozen check ((closed_at is null) = (state = 'frozen'))
);
-- What stands against a top-up, in the order in which it is covered.
create index disputes_of_topup on disputes (topup_id, opened_at, external_id);
-- Whether a customer may pay by card; what the pages show him.
create index disputes_of_account on disputes (account_id, id);
-- What the sweeper looks at next.
create index disputes_to_look_at on disputes (next_look_at) where next_look_at is not null;

-- A bank says that a payment was fraud, before anybody disputes it. What is unspent is kept until two people of ours have decided.
create table fraud_warnings (
  id           uuid primary key,                      -- `dsp_…` on the wire, beside the disputes
  external_id  text not null unique,                  -- the card company's: issfr_…
  topup_id     uuid not null references topups,
  account_id   bigint not null,
  fraud_type   text not null,                         -- its word
  actionable   boolean not null,                      -- its word: neither disputed nor refunded whole

  status       text not null check (status in ('open', 'refund_asked', 'refunding', 'refunded', 'released', 'closed')),
  frozen       bigint not null default 0,
  round        int not null default 0,
  hold_id      uuid unique,

  -- Who of staff decided.
  asked_by     bigint references accounts,            -- to pay the money back
  asked_at     timestamptz,                           -- house time, all of these
  decided_by   bigint references accounts,            -- agreed to it, or gave the credits back
  decided_at   timestamptz,
  why          text check (length(why) <= 500),
  refund_id    uuid,                                  -- what was agreed to

  opened_at    timestamptz not null,
  closed_at    timestamptz,

  look         int not null default 0,                -- as of disputes; wire time
  next_look_at timestamptz,
  last_error   text,

  constraint frozen_by_a_hold check ((hold_id is not null) = (frozen > 0)),
  constraint asked_for_a_refund check (status not in ('refund_asked', 'refunding', 'refunded') or asked_by is not null),
  -- The last word: two people, whatever the code above it does.
  constraint two_people_for_a_refund check (status not in ('refunding', 'refunded') or coalesce(decided_by <> asked_by, false)),
  constraint nothing_kept_when_closed check (closed_at is null or frozen = 0),
  constraint closed_or_open check ((closed_at is null) = (status in ('open', 'refund_asked', 'refunding')))
);
create index fraud_warnings_of_topup on fraud_warnings (topup_id, opened_at, external_id);
create index fraud_warnings_of_account on fraud_warnings (account_id, id);
create index fraud_warnings_to_look_at on fraud_warnings (next_look_at) where next_look_at is not null;

-- Every freeze there was, with what it was for: a row of the history explains itself by it.
create table freezes (
  hold_id    uuid primary key,                        -- the ledger's transfer
  dispute_id uuid references disputes,
  warning_id uuid references fraud_warnings,
  topup_id   uuid not null,
  account_id bigint not null,
  round      int not null,
  why        text not null check (why in ('inquiry', 'dispute', 'appeal', 'warning')),
  amount     bigint not null check (amount > 0),
  shortfall  bigint not null default 0,               -- what had been spent already: owed from here on
  outcome    text check (outcome in ('changed', 'closed', 'won', 'prevented', 'lost', 'refunded', 'released', 'disputed')),  -- null: it stands
  constraint of_one_cause check (num_nonnulls(dispute_id, warning_id) = 1),
  constraint each_round_once unique nulls not distinct (dispute_id, warning_id, round)
);

-- Until when the lists of the card company were read for what no webhook told us of. Wire time.
create table card_lists (
  list         text primary key,
  read_until   timestamptz not null default '-infinity',
  next_read_at timestamptz not null default '-infinity'
);
insert into card_lists (list) values ('disputes'), ('fraud_warnings');
