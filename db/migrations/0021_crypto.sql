-- Top-ups by crypto: what arrives on an address of ours is credited, payment by payment, after three confirmations.

-- A top-up is by card or by crypto; what only cards have is null in a row of crypto.
alter table topups
  add column method text not null default 'card' check (method in ('card', 'crypto')),
  -- Of crypto: what its payments credited, less what was reversed of that.
  add column arrived bigint not null default 0 check (arrived >= 0),
  -- What it put on the balance, by whatever way; less what was reversed, not less what was refunded.
  add column credited bigint not null generated always as (
    case when method = 'crypto' then arrived when status = 'credited' then amount else 0 end) stored,
  alter column session_call drop not null,
  drop constraint topups_status_check,
  add constraint topups_status_check check (status in ('awaiting_payment', 'confirming', 'credited', 'refused', 'expired')
    or (method = 'crypto' and status in ('partially_credited', 'reversed'))),
  drop constraint credited_with_its_charge,
  add constraint credited_with_its_charge check (method = 'crypto' or ((status = 'credited') = (credited_at is not null)
    and (status <> 'credited' or (payment_intent_id is not null and charge_id is not null and reason is null)))),
  drop constraint confirming_a_payment,
  add constraint confirming_a_payment check (method = 'crypto' or status <> 'confirming' or payment_intent_id is not null),
  drop constraint ended_or_open,
  -- Of crypto, `expired` is said of the quote only: its address is watched for ever.
  add constraint ended_or_open check (method = 'crypto' or (status in ('refused', 'expired')) = (ended_at is not null)),
  add constraint asks_the_card_company check ((method = 'card') = (session_call is not null)),
  add constraint by_card_nothing_arrives check (method = 'crypto' or arrived = 0),
  add constraint by_crypto_no_card check (method = 'card'
    or (session_id is null and payment_intent_id is null and next_look_at is null and status <> 'refused'));

-- The extended public keys from which addresses are derived, as the operator gave them. Another key is another row; the addresses of
-- the old one stay watched.
create table crypto_keys (
  id          bigint generated always as identity primary key,
  family      text not null check (family in ('btc', 'ltc', 'evm')),  -- whose addresses: each coin its own; one key for all EVM networks
  descriptor  text not null unique,                   -- public key, script type and path, in the words of Bitcoin's descriptors
  next_index  int not null default 0 check (next_index >= 0),
  active      boolean not null,
  created_at  timestamptz not null                    -- house time
);
create unique index one_active_key_of_each_family on crypto_keys (family) where active;

-- Every address that is watched, for ever. One that no top-up has yet is watched ahead, so that a database that was restored from
-- before it was given out still sees what arrives there.
create table crypto_addresses (
  id          bigint generated always as identity primary key,
  key_id      bigint not null references crypto_keys,
  index       int not null check (index >= 0),
  family      text not null check (family in ('btc', 'ltc', 'evm')),
  script      bytea not null,                         -- what is looked for in blocks: the output's script; of EVM the 20 bytes
  address     text not null,
  account_id  bigint,                                 -- null, with the top-up: nobody's yet
  topup_id    uuid unique references topups,
  given_at    timestamptz,                            -- house time
  unique (key_id, index),
  unique (family, script),
  constraint given_to_somebody check (num_nulls(account_id, topup_id, given_at) in (0, 3))
);

-- What one whole coin costs: the price by which quotes are made and late payments are valued, with what it rests on.
create table crypto_rates (
  id          bigint generated always as identity primary key,
  asset       text not null,
  price       bigint not null check (price > 0),      -- micro-dollars for one whole coin
  sources     int not null check (sources > 0),       -- how many agreed
  samples     jsonb not null,                         -- what each source said, also those that were not believed, and why
  at          timestamptz not null,                   -- house time
  fetched_at  timestamptz not null default now()      -- wire time: how fresh it is
);
create index crypto_rates_of_asset on crypto_rates (asset, at desc);

-- What was promised with a top-up by crypto. The promise ends at topups.expires_at.
create table crypto_quotes (
  topup_id    uuid primary key references topups,
  asset       text not null,
  chain       text not null,
  address_id  bigint not null unique references crypto_addresses,
  units       numeric(78, 0) not null check (units > 0),   -- to be sent, in the asset's smallest unit
  rate_id     bigint not null references crypto_rates,
  price       bigint not null check (price > 0),      -- as in crypto_rates: the rate that is held
  confirmations_required int not null check (confirmations_required between 1 and 1000)   -- as it was when the quote was made
);

-- How far each chain has been read.
create table chain_cursors (
  chain       text primary key,
  identity    text not null,                          -- the hash of its first block, or its number: another one is another chain
  height      bigint not null check (height >= 0),
  hash        text not null,
  block_time  timestamptz not null,                   -- house time
  node_height bigint not null,                        -- what the node said its own height is
  looked_at   timestamptz not null,                   -- wire time: the node was asked, and answered
  caught_up_at timestamptz,                           -- wire time: our block was the node's newest; null: never yet
  trouble     text,                                   -- what is wrong with it at the moment, in a word; null: nothing
  trouble_since timestamptz,                          -- wire time
  trouble_detail text,
  halted      text,                                   -- nothing is read any more until a person has looked: why
  agreed_height bigint,                               -- up to here a second node has the same blocks, and nothing above is credited; null: there is no second one
  resumptions jsonb not null default '[]',            -- who let it go on after it was halted, when, and why; only added to
  constraint trouble_at_a_time check ((trouble is null) = (trouble_since is null))
);

-- The blocks that stand: the newest few hundred without a gap, and each that has a payment of ours.
create table chain_blocks (
  chain       text not null,
  height      bigint not null,
  hash        text not null,
  parent      text not null,
  time        timestamptz not null,                   -- house time
  primary key (chain, height),
  unique (chain, hash)
);

-- What arrived, or is about to, on an address of ours. What happened outside is written by whoever reads the chain; what it is worth
-- and what was credited for it, by whoever decides. How it stands follows from both.
create table crypto_payments (
  id          uuid primary key,
  chain       text not null,
  txid        text not null,
  ordinal     text not null,                          -- which of the transaction's: the output, the log's place in its own receipt, the path of an inner call
  asset       text not null,
  address_id  bigint not null references crypto_addresses,
  account_id  bigint,                                 -- as its address had when it was first seen
  topup_id    uuid references topups,
  units       numeric(78, 0) not null check (units > 0),
  coinbase    boolean not null default false,         -- newly mined: counts after 100 confirmations
  spends      text[] not null default '{}',           -- what it spends: another transaction that spends one of these excludes it
  confirmations_required int not null check (confirmations_required between 1 and 1000),

  -- Where it stands on the best chain that we know; null: nowhere at the moment.
  first_seen_at timestamptz not null,                 -- house time
  pooled      boolean not null,                       -- waits in the node's pool
  block_hash  text,
  height      bigint,
  block_time  timestamptz,                            -- house time
  unmined_at_height bigint,                           -- when its block was taken back: how high the branch was from which it vanished
  replaced_by text,                                   -- the transaction that spent the same
  replaced_height bigint,                             -- in which block that one stands; null: in none, so nothing is decided yet

  -- What it is worth: decided at its first block, and kept when it is mined again.
  parts       jsonb,                                  -- [{units, price, basis: locked | late | surplus | other_asset, value}]: smallest units, micro-dollars; strings
  value       bigint check (value >= 0),              -- exactly, in micro-dollars, rounded down
  worth       bigint check (worth >= 0 and worth % 10000 = 0),   -- what is credited: rounded up to the cent; 0: dust
  valued_at   timestamptz,

  -- What the ledger was told. Each round is a credit, and perhaps its reversal.
  round       int not null default 0 check (round >= 0),
  credited_at timestamptz,                            -- of this round
  reversed_at timestamptz,                            -- of this round; null again when it is credited anew
  review      text,                                   -- why a person must look; null: nobody must
  gone_told_at timestamptz,                           -- its customer was told that it is gone before it was credited

  unique (chain, txid, ordinal, asset),
  constraint mined_or_not check (num_nulls(block_hash, height, block_time) in (0, 3)),
  constraint mined_or_waiting check (height is null or (not pooled and num_nulls(unmined_at_height, replaced_by) = 2)),
  constraint replaced_by_a_transaction check (replaced_height is null or replaced_by is not null),
  constraint valued_whole check (num_nulls(parts, value, worth, valued_at) in (0, 4)),
  constraint credited_what_is_worth check (credited_at is null or (round > 0 and worth > 0 and account_id is not null and topup_id is not null)),
  constraint reversed_what_was_credited check (reversed_at is null or credited_at is not null),
  constraint somebodys check ((account_id is null) = (topup_id is null))
);
create index crypto_payments_of_topup on crypto_payments (topup_id);
create index crypto_payments_of_address on crypto_payments (address_id);
create index crypto_payments_by_height on crypto_payments (chain, height) where height is not null;
create index crypto_payments_unmined on crypto_payments (chain) where height is null;
-- What is to be credited, or taken back.
create index crypto_payments_uncredited on crypto_payments (chain, height) where credited_at is null and height is not null;

-- What happened to a payment, one after the other; told to its customer. Rows are only added.
create table crypto_payment_events (
  payment_id  uuid not null references crypto_payments,
  seq         int not null check (seq > 0),
  what        text not null check (what in ('seen', 'mined', 'unmined', 'replaced', 'dropped', 'conflicted', 'valued', 'credited',
                                            'reversed', 'review', 'final')),
  at          timestamptz not null,                   -- house time
  height      bigint,
  block_hash  text,
  detail      jsonb not null default '{}',
  primary key (payment_id, seq)
);
