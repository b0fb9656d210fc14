-- What an account says about itself, and what its API keys may do.
alter table accounts
  add column company       text check (length(company) between 1 and 120),  -- on receipts; null: none
  add column tax_id        text check (length(tax_id) between 1 and 40),    -- on receipts; null: none
  add column mail_receipts boolean not null default true,   -- a mail for each payment
  add column mail_sign_ins boolean not null default true;   -- a mail for each new sign-in; what guards the account goes always

alter table api_keys
  add column public_id   uuid not null unique default gen_random_uuid(),    -- `key_…` on the wire
  add column name        text not null default 'API key' check (length(name) between 1 and 60),
  add column scopes      text[] not null default '{read,order,topup}'
    check (scopes <@ array['read', 'order', 'topup'] and cardinality(scopes) between 1 and 3),
  add column daily_cap   bigint check (daily_cap > 0 and daily_cap % 10000 = 0),  -- micro-dollars, whole cents; null: none
  add column addresses   text[] not null default '{}' check (cardinality(addresses) <= 20),  -- IP or CIDR; empty: from anywhere
  add column expires_at  timestamptz,                 -- wire time, as all of this table; null: never
  add column last_used_at timestamptz,                -- written every few seconds at most, so a little late
  add column last_used_address text;

-- What came before had no choice; from now on each key says what it is.
alter table api_keys
  alter column public_id drop default,
  alter column name drop default,
  alter column scopes drop default;
