-- What the compactor has summed up of platform_deltas (server/ledger/compact.sql): one row a platform account and cause. Only the
-- compactor writes here, so that nobody who moves money ever waits for one of these rows.
create table platform_sums (
  platform smallint not null,
  code     smallint not null,
  debits   bigint not null,
  credits  bigint not null,
  entries  bigint not null,
  primary key (platform, code)
);

-- The totals, exact in any snapshot: what was summed up and what was not yet.
create or replace view platform_totals as
select platform,
       code,
       sum(debits)::bigint  as debits,
       sum(credits)::bigint as credits,
       sum(entries)::bigint as entries
  from (select platform, code, debits, credits, entries from platform_sums
         union all
        select platform, code, debits, credits, entries from platform_deltas) m
 group by platform, code;

-- Rows come and go by the thousand, and the table stays small only when it is cleaned by what came, not by what stands in it.
alter table platform_deltas set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
