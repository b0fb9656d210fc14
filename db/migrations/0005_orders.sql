-- The catalogue, our own numbers, and orders.

create table services (
  code           text primary key check (code ~ '^[a-z0-9]{2,32}$'),
  name           text not null,
  sender_pattern text                                 -- who writes for this service (regular expression on the sender, any case)
);

create table countries (
  code      text primary key check (code ~ '^[A-Z]{2}$'),
  name      text not null,
  dial_code text not null
);

create table prices (
  service    text not null references services,
  country    text not null references countries,
  price      bigint not null check (price > 0 and price % 10000 = 0),   -- whole cents
  valid_from timestamptz not null,
  primary key (service, country)
);

create table numbers (
  id            bigint generated always as identity primary key,
  phone_number  text not null unique check (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
  country       text not null references countries,
  order_id      uuid,                                 -- the live order; null: free. Claimed under this row's lock
  last_order_id uuid                                  -- the last order that had it: a late message is shown to its customer
);

-- A number stands in the shop once per service, and rests between two orders for the same service.
create table offers (
  number_id bigint not null references numbers,
  service   text not null references services,
  country   text not null references countries,
  free_from timestamptz not null default '-infinity', -- house time
  primary key (number_id, service)
);
-- Claiming takes the number that has rested longest.
create index offers_free on offers (service, country, free_from);

create table orders (
  id           uuid primary key,
  number       bigint not null unique,                -- the order number that people use
  account_id   bigint not null,
  service      text not null,
  country      text not null,
  number_id    bigint not null references numbers,
  phone_number text not null,
  price        bigint not null check (price > 0),
  status       text not null check (status in ('waiting', 'received', 'finished', 'cancelled', 'expired')),
  hold_id      uuid not null unique,
  given_at     timestamptz not null,                  -- house time, all of these
  cancel_from  timestamptz not null,
  expires_at   timestamptz not null,
  received_at  timestamptz,                           -- the first code: the price was captured
  ended_at     timestamptz,
  constraint charged_by_a_code check ((status in ('received', 'finished')) = (received_at is not null)),
  constraint ended_or_open check ((status in ('finished', 'cancelled', 'expired')) = (ended_at is not null))
);
-- The last word: an SMS carries no service, and nobody may read another's code.
create unique index one_live_order_per_number on orders (number_id) where status in ('waiting', 'received');
-- What became due.
create index orders_due on orders (expires_at) where status in ('waiting', 'received');
-- A customer's orders, newest first (ids are time-ordered).
create index orders_of_account on orders (account_id, id);
-- Success rates by pair.
create index orders_by_pair on orders (service, country, given_at);

create table messages (
  id          uuid primary key,
  inbox_id    bigint not null unique references inbox,
  order_id    uuid not null references orders,
  account_id  bigint not null,
  sender      text not null,
  text        text not null,
  code        text,
  late        boolean not null,
  received_at timestamptz not null
);
create index messages_of_order on messages (order_id, received_at);
