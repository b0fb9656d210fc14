-- What every room stands on: the stamp of this installation, house time, and the keys of requests that were answered.

-- One row: what kind of installation this database belongs to. A production start refuses a database stamped as a sandbox.
create table installation (
  only_row   boolean primary key default true check (only_row),
  mode       text not null check (mode in ('sandbox', 'production')),
  created_at timestamptz not null default now()
);

-- House time is the database's now() plus this offset. One row. It can be moved in a sandbox only (house_clock_advance).
create table house_clock (
  only_row       boolean primary key default true check (only_row),
  offset_seconds bigint not null default 0 check (offset_seconds between 0 and 315360000)
);
insert into house_clock default values;

-- An Idempotency-Key binds to the first success: the row is written in the transaction of what it caused, so a refusal leaves
-- none. Kept for good: a key that were forgotten could buy a second time.
create table idempotency_keys (
  account_id  bigint not null,
  key         text not null check (length(key) between 1 and 255),
  fingerprint text not null,                          -- what was asked; another question under the same key is refused
  subject     uuid not null,                          -- the order or top-up that came of it
  created_at  timestamptz not null default now(),
  primary key (account_id, key)
);
