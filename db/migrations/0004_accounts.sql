-- People. The schema `auth` belongs to the sign-in library (better-auth 1.7.25): its tables are what it compiles for our settings
-- (server/accounts/sign-in.ts), committed here so that the library never changes a database by itself; accounts.test.ts asserts
-- that it wants nothing more. The server reaches them as mobilesms_auth, which sees nothing else.
create schema auth;

create table auth."user" (
  "id"            uuid default pg_catalog.gen_random_uuid() not null primary key,
  "name"          text not null,
  "email"         text not null unique,
  "emailVerified" boolean not null,
  "image"         text,
  "createdAt"     timestamptz default current_timestamp not null,
  "updatedAt"     timestamptz default current_timestamp not null,
  "username"      text unique,
  "role"          text not null                       -- which account this login gets when it is opened (account_open)
);

create table auth."session" (
  "id"        uuid default pg_catalog.gen_random_uuid() not null primary key,
  "expiresAt" timestamptz not null,
  "token"     text not null unique,                   -- useless without AUTH_SECRET: the cookie carries its signature
  "createdAt" timestamptz default current_timestamp not null,
  "updatedAt" timestamptz not null,
  "ipAddress" text,
  "userAgent" text,
  "userId"    uuid not null references auth."user" ("id") on delete cascade
);

create table auth."account" (
  "id"                    uuid default pg_catalog.gen_random_uuid() not null primary key,
  "accountId"             text not null,
  "providerId"            text not null,
  "userId"                uuid not null references auth."user" ("id") on delete cascade,
  "accessToken"           text,
  "refreshToken"          text,
  "idToken"               text,
  "accessTokenExpiresAt"  timestamptz,
  "refreshTokenExpiresAt" timestamptz,
  "scope"                 text,
  "password"              text,
  "createdAt"             timestamptz default current_timestamp not null,
  "updatedAt"             timestamptz not null
);

create table auth."verification" (
  "id"         uuid default pg_catalog.gen_random_uuid() not null primary key,
  "identifier" text not null,
  "value"      text not null,
  "expiresAt"  timestamptz not null,
  "createdAt"  timestamptz default current_timestamp not null,
  "updatedAt"  timestamptz default current_timestamp not null
);

create index "session_userId_idx" on auth."session" ("userId");
create index "account_userId_idx" on auth."account" ("userId");
create index "verification_identifier_idx" on auth."verification" ("identifier");

-- A customer with credit, or a member of staff. Opened with its login (account_open); every row of a customer carries its id.
create table accounts (
  id         bigint generated always as identity primary key,
  user_id    uuid not null unique references auth."user" ("id"),
  username   text not null unique,
  role       text not null check (role in ('customer', 'admin', 'approver')),
  time_zone  text not null default 'UTC',             -- IANA name
  created_at timestamptz not null                     -- house time
);

-- Keys of the API. The key itself is nowhere: who reads this table cannot use it.
create table api_keys (
  id         bigint generated always as identity primary key,
  account_id bigint not null references accounts,
  prefix     text not null check (length(prefix) between 4 and 16),  -- its first letters, to tell one key from another
  sha256     bytea not null unique check (length(sha256) = 32),      -- what a request's key is looked up by
  created_at timestamptz not null default now(),      -- wire time both
  revoked_at timestamptz                              -- null: it works
);
-- A customer's own keys.
create index api_keys_of_account on api_keys (account_id);
