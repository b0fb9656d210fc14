-- Against card testing: whoever tries stolen cards here, to learn which of them work, is stopped after a few.

-- What a top-up's address is counted by: an IPv4 address, or the /64 that one customer has of IPv6. Null: from before, or no address.
alter table topups add column asked_network cidr;
-- How many payment pages a customer, and a network, opened lately.
create index topups_of_account_by_time on topups (account_id, created_at);
create index topups_of_network_by_time on topups (asked_network, created_at) where asked_network is not null;

-- Each card that was tried on a payment page, as far as we heard of it: one row for each answer of a bank.
create table card_attempts (
  id         text primary key,                        -- the charge; or the payment and the card of which no charge was made
  topup_id   uuid not null references topups (id),
  account_id bigint not null,
  card       bytea check (length(card) = 16),         -- a hash of the card company's own mark of the card; null: not told
  declined   boolean not null,                        -- false: authorised, whatever we made of it
  tried_at   timestamptz not null                     -- house time
);
-- How many cards a customer tried, and was declined with, lately.
create index card_attempts_of_account on card_attempts (account_id, tried_at);
-- Whose card it is said to be.
create index card_attempts_of_card on card_attempts (card, tried_at) where card is not null;
-- How many are declined, of all.
create index card_attempts_by_time on card_attempts (tried_at);

-- When no new card payments were begun. One row for each time; the last one tells how it stands.
create table card_pauses (
  id         bigint generated always as identity primary key,
  begun_at   timestamptz not null,                    -- house time, all three
  until      timestamptz not null check (until > begun_at),
  ended_at   timestamptz,                             -- null: it ends, or has ended, by itself
  attempts   int not null check (attempts >= 0),      -- of the last minutes before it began; by hand: 0
  declines   int not null check (declines between 0 and attempts),
  begun_by   bigint,                                  -- a member of staff's account; null: the breaker
  ended_by   bigint,
  constraint ended_by_hand check ((ended_at is null) = (ended_by is null))
);
