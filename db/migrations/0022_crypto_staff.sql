-- What people decide about crypto: payments that no rule decides, money that goes back by a chain, and what a comparison found.

-- A member of staff has decided what a payment is worth and whose it is: no rule decides that again.
alter table crypto_payments
  add column decided_at timestamptz,                  -- house time
  add constraint decided_with_its_value check (decided_at is null or (worth is not null and topup_id is not null));

-- What needs a look: a payment with a word in `review`, one that is worth too little to be credited by itself, or what support found by
-- a transaction's id and no follower reads (a token that is not ours, another network).
create table crypto_reviews (
  id          uuid primary key,
  kind        text not null,                          -- the word of crypto_payments.review, or below_minimum, unknown_token, other_network
  payment_id  uuid references crypto_payments,        -- null: it is none of those that are followed
  chain       text not null,                          -- the network's word; of another network, as staff named it
  txid        text not null,
  ordinal     text not null,
  contract    text,                                   -- of a token that is not ours
  asset       text,                                   -- null: none of ours
  units       numeric(78, 0) check (units > 0),       -- null: not known
  address_id  bigint references crypto_addresses,     -- the address of ours that it paid
  account_id  bigint,                                 -- whose it is, as far as known
  topup_id    uuid references topups,
  opened_at   timestamptz not null,                   -- house time
  opened_by   bigint,                                 -- null: by itself
  status      text not null default 'open' check (status in ('open', 'credit_asked', 'credited', 'left', 'recovered', 'settled')),
  -- What is, or is to be, credited by decision.
  credit      bigint check (credit > 0 and credit % 10000 = 0),
  credit_price bigint check (credit_price > 0),       -- micro-dollars for one whole coin, where that is how it was said
  credit_topup uuid references topups,
  asked_by    bigint,                                 -- the first of two
  asked_at    timestamptz,
  decided_by  bigint,
  decided_at  timestamptz,                            -- house time
  why         text,

  constraint asked_by_somebody check ((asked_by is null) = (asked_at is null)),
  constraint credits_something check (status not in ('credit_asked', 'credited') or (credit is not null and credit_topup is not null)),
  -- What became of itself has a time, and nobody.
  constraint decided_or_open check ((status in ('open', 'credit_asked')) = (decided_at is null)
    and (decided_by is null) = (status in ('open', 'credit_asked', 'settled')))
);
-- The same thing is looked at once.
create unique index crypto_reviews_of_payment on crypto_reviews (payment_id, kind) where payment_id is not null;
create unique index crypto_reviews_looked_up on crypto_reviews (chain, txid, ordinal) where payment_id is null;
-- The list of staff, by how it stands.
create index crypto_reviews_by_status on crypto_reviews (status, id);

-- Money of a top-up on its way back by a chain. The house holds no private key: staff pay from a wallet of their own, and name the
-- transaction, which is then watched.
create table crypto_refunds (
  id          uuid primary key,
  topup_id    uuid not null references topups,
  account_id  bigint not null,
  amount      bigint not null check (amount > 0 and amount % 10000 = 0),
  asset       text not null,
  chain       text not null,
  address     text not null,                          -- as the customer named it, in its canonical spelling
  script      bytea not null,                         -- as in crypto_addresses
  status      text not null default 'requested' check (status in ('requested', 'approved', 'sent', 'succeeded', 'declined', 'failed')),
  requested_at timestamptz not null,                  -- house time, all of them here
  asked_by    bigint,                                 -- the first of two who approve
  asked_at    timestamptz,
  approved_by bigint,
  approved_at timestamptz,
  ended_by    bigint,                                 -- who declined it, or gave it up
  note        text,                                   -- why, for the customer

  -- The transaction that staff say they paid it by, and which price it paid (crypto_refund_prices).
  transaction_id text,
  ordinal     text,
  price_seq   int,
  sent_by     bigint,
  sent_at     timestamptz,
  confirmations_required int not null check (confirmations_required between 1 and 1000),
  -- Where it stands; null: in no block.
  block_hash  text,
  height      bigint,
  vanished_at timestamptz,                            -- nothing of it is to be found since
  captured_at timestamptz,                            -- it was confirmed, and the hold was taken; stays when the chain takes it back
  succeeded_at timestamptz,
  ended_at    timestamptz,

  constraint two_different_people check (asked_by is distinct from approved_by or asked_by is null),
  constraint approved_by_somebody check (num_nulls(approved_by, approved_at) in (0, 2)
    and (status not in ('approved', 'sent', 'succeeded') or approved_at is not null)),
  constraint sent_with_its_transaction check (num_nulls(transaction_id, ordinal, price_seq, sent_by, sent_at) in (0, 5)
    and (status not in ('sent', 'succeeded') or transaction_id is not null)),
  constraint in_a_block_or_not check ((block_hash is null) = (height is null)),
  constraint succeeded_in_a_block check (status <> 'succeeded' or (height is not null and captured_at is not null and succeeded_at is not null)),
  constraint declined_before_it_left check (status <> 'declined' or transaction_id is null),
  constraint ended_or_under_way check ((status in ('succeeded', 'declined', 'failed')) = (ended_at is not null))
);
-- What is left of a top-up, and its page.
create index crypto_refunds_of_topup on crypto_refunds (topup_id);
create index crypto_refunds_of_account on crypto_refunds (account_id) where ended_at is null;
create index crypto_refunds_by_status on crypto_refunds (status, id);
-- No payment of staff's serves for two refunds.
create unique index crypto_refunds_paid_by on crypto_refunds (chain, transaction_id, ordinal) where transaction_id is not null;

-- What was to be paid at which rate, each time that staff asked for it. Rows are only added: whoever paid by the one before paid rightly.
create table crypto_refund_prices (
  refund_id   uuid not null references crypto_refunds,
  seq         int not null check (seq > 0),
  rate_id     bigint not null references crypto_rates,
  price       bigint not null check (price > 0),
  units       numeric(78, 0) not null check (units > 0),
  height      bigint not null,                        -- how far the chain was: a transaction in this block or before is another one
  at          timestamptz not null,                   -- house time
  member_id   bigint not null,
  primary key (refund_id, seq)
);

-- What members of staff did about these, each of it, with why. Rows are only added.
create table crypto_staff_actions (
  id          bigint generated always as identity primary key,
  subject     uuid not null,                          -- of crypto_reviews or crypto_refunds
  what        text not null,
  member_id   bigint,                                 -- null: the house by itself
  why         text,
  detail      jsonb not null default '{}',
  at          timestamptz not null                    -- house time
);
create index crypto_staff_actions_of_subject on crypto_staff_actions (subject, id);

-- The comparison of a chain with our books. What was found stands in `found`, as it was then.
create table crypto_reconciliations (
  id          uuid primary key,
  chain       text not null,
  started_by  text not null check (started_by in ('schedule', 'staff', 'command')),
  status      text not null default 'running' check (status in ('running', 'clean', 'open', 'failed')),
  seen_at     timestamptz not null default now(),     -- wire time, the three: silent for too long is dead
  started_at  timestamptz not null default now(),
  ended_at    timestamptz,
  found       jsonb,
  error       text,
  constraint ended_with_an_outcome check ((status = 'running') = (ended_at is null)),
  constraint found_unless_failed check (status not in ('clean', 'open') or found is not null)
);
create unique index one_crypto_reconciliation_at_a_time on crypto_reconciliations (chain) where status = 'running';
create index crypto_reconciliations_of_chain on crypto_reconciliations (chain, started_at desc);
