-- What orders have besides the first journey: a further code that is waited for, the key that ordered, filters, favourites.

alter table orders
  add column another_code_requested_at timestamptz,   -- house time; the customer waits for a further code, and none has come since
  add column api_key_id bigint references api_keys,   -- the key it was ordered with; null: by a person at the pages
  add constraint another_code_after_the_first check (another_code_requested_at is null or received_at is not null);

-- A customer's orders, newest first. What the filters look at stands in the index itself: each combination of them is one walk along
-- it, without a look at the rows that do not fit, and no filter costs the hot path an index of its own.
drop index orders_of_account;
create index orders_of_account on orders (account_id, given_at, id)
  include (status, service, country, number, phone_number);
-- His open ones, of which he has few among many: the pages ask for them all the time.
create index orders_open_of_account on orders (account_id, given_at, id) where status in ('waiting', 'received');
-- What a key has spent today, for its daily cap.
create index orders_of_key on orders (api_key_id, given_at) include (status, price) where api_key_id is not null;

-- Pairs of service and country that a customer has marked; they stand first where he orders.
create table favourites (
  account_id bigint not null,
  service    text not null references services,
  country    text not null references countries,
  -- A hundred at most: whoever is too many finds no place, also when two come at once.
  place      smallint not null check (place between 1 and 100),
  created_at timestamptz not null,                    -- house time
  primary key (account_id, service, country),
  constraint one_favourite_a_place unique (account_id, place)
);
