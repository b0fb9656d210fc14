-- What the outside told us, each fact once, before anything is done about it.
create table inbox (
  id          bigint generated always as identity primary key,
  source      text not null,                          -- 'stripe', 'sms:generic'
  external_id text not null,                          -- the sender's own id of the event
  subject     text not null,                          -- what it is about, as the sender names it: a phone number, an object's id
  body        text not null,                          -- as it came
  received_at timestamptz not null,                   -- house time: decides whether an SMS came in time
  handled_at  timestamptz,                            -- house time; null while there is work left
  outcome     text,                                   -- what came of it, in one word
  attempts    int not null default 0,
  last_error  text,
  constraint each_event_once unique (source, external_id)
);
-- Sweepers look for what is left; closing an order asks whether its number has an unhandled message.
create index inbox_unhandled on inbox (source, subject) where handled_at is null;

-- Whom an outside object belongs to. Written before the object is exposed, so that each outside fact reaches one customer only.
create table directory (
  source      text not null,                          -- 'stripe:session', 'stripe:payment_intent'
  external_id text not null,
  account_id  bigint not null,
  subject     uuid not null,                          -- our own id: a top-up
  primary key (source, external_id)
);
