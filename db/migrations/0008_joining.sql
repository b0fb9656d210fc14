-- Joining: sessions, links, throttles and sign-ups of our own. The sign-in library's tables of sessions and verifications go: they
-- kept what a cookie or a link carries as it is, and here only its hash is kept. Who is signed in signs in again.
--
-- All of the schema auth is wire time: a session is as old for its thief as for the clock on the wall.
drop table auth."session";
drop table auth."verification";

-- Addresses are kept as given and told apart as people do, whatever their capitals.
create unique index user_email_once on auth."user" (lower("email"));
update auth."user" set "email" = "username" || '@sandbox.example', "emailVerified" = true where "email" like '%@sandbox.invalid';

-- Open sign-ins. What the cookie carries is nowhere: who reads this table cannot use it.
create table auth.sessions (
  id           uuid primary key,                      -- `ses_…` on the wire; grows with time
  user_id      uuid not null references auth."user" ("id") on delete cascade,
  token_sha256 bytea not null unique check (length(token_sha256) = 32),
  created_at   timestamptz not null default now(),
  last_used_at timestamptz not null default now(),    -- written once a minute at most
  password_at  timestamptz not null default now(),    -- when the password was given last
  address      text not null check (length(address) <= 100),
  user_agent   text not null check (length(user_agent) <= 300)
);
-- A person's own list, newest first.
create index sessions_of_user on auth.sessions (user_id, id);

-- Where somebody has signed in before: hashes of the browser's own cookie, and of its network with its name. A sign-in from
-- elsewhere is told by mail; strangers' failures do not count against the browser that is known.
create table auth.known_browsers (
  user_id      uuid not null references auth."user" ("id") on delete cascade,
  mark_sha256  bytea not null check (length(mark_sha256) = 32),
  last_seen_at timestamptz not null default now(),
  primary key (user_id, mark_sha256)
);

-- Who wants to join: nothing is an account until its e-mail is proven. Several may name the same address or name: none of them owns it.
create table auth.sign_ups (
  id             uuid primary key,
  username       text not null,
  email          text not null,
  password       text not null,                       -- its hash
  accepted       jsonb not null,                      -- the policies' versions
  browser_sha256 bytea not null check (length(browser_sha256) = 32),  -- whose link opens without the password
  created_at     timestamptz not null default now(),  -- when "18 or over" and the policies were said
  expires_at     timestamptz not null
);
-- A link that is sent anew; and all of an address, thrown away when one of them was confirmed.
create index sign_ups_of_email on auth.sign_ups (lower(email), id);
-- Thrown away when over.
create index sign_ups_to_forget on auth.sign_ups (expires_at);

-- What was sent as a link, by its hash. Kept some days after its end, so that "used" and "expired" can be told from "unknown".
create table auth.links (
  token_sha256 bytea primary key check (length(token_sha256) = 32),
  purpose      text not null check (purpose in ('sign_up', 'reset', 'first_password', 'email')),
  sign_up_id   uuid,                                  -- which may be gone: then it was confirmed, or is over
  user_id      uuid references auth."user" ("id") on delete cascade,
  email        text,                                  -- the address that this link proves
  created_at   timestamptz not null default now(),
  expires_at   timestamptz not null,
  used_at      timestamptz,
  voided_at    timestamptz,                           -- what it was for is over: a newer password, another address
  constraint of_a_sign_up_or_a_login check ((purpose = 'sign_up') = (sign_up_id is not null) and (purpose = 'sign_up') = (user_id is null)),
  constraint proves_an_address check (email is not null or purpose in ('reset', 'first_password'))
);
-- A login's links: ended together, and counted before another is sent.
create index links_of_user on auth.links (user_id, created_at) where user_id is not null;
create index links_of_sign_up on auth.links (sign_up_id) where sign_up_id is not null;
-- Thrown away when long over.
create index links_to_forget on auth.links (expires_at);

-- What was asked for by somebody who must not learn from the answer, or from how long it takes, whether we know whom he named: one
-- row whatever we know; who reads it afterwards finds out, and writes the letter.
create table auth.errands (
  id      bigint generated always as identity primary key,
  kind    text not null check (kind in ('sign_up', 'resend', 'forgotten', 'email_change')),
  about   text not null check (length(about) <= 320), -- the sign-up's id, or what was typed
  user_id uuid references auth."user" ("id") on delete cascade,
  made_at timestamptz not null default now()
);

-- How often something was tried. Not in the log of the database: after a crash the counting begins anew, and a flood costs no disk.
create unlogged table auth.throttles (
  key      bytea primary key check (length(key) = 16),
  attempts int not null,
  ends_at  timestamptz not null
) with (fillfactor = 60);                             -- counted in place
-- Thrown away when over.
create index throttles_to_forget on auth.throttles (ends_at);

-- What a customer has agreed to, and since when: the version in force at a purchase decides a refund.
create table policy_acceptances (
  account_id  bigint not null references accounts,
  policy      text not null check (policy in ('terms', 'privacy', 'acceptable_use', 'refunds')),
  version     text not null check (length(version) between 1 and 20),
  accepted_at timestamptz not null,                   -- wire time
  primary key (account_id, policy, version)
);

alter table accounts
  add column adult_stated_at timestamptz;             -- when "18 or over" was said, wire time; null: nobody was asked (staff)
