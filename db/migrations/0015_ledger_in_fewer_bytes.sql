-- What each command reads and writes of its customer, made small: open holds are counted by three causes, not by sixteen of which
-- thirteen never come, and an open hold knows what kind it is, so that its resolution need not look for the hold's own row.
alter table ledger_accounts
  add column open_orders        int not null default 0,
  add column open_topup_refunds int not null default 0,
  add column open_disputes      int not null default 0;
update ledger_accounts
   set open_orders = open_holds[1], open_topup_refunds = open_holds[2], open_disputes = open_holds[3]
 where open_holds <> array_fill(0, array[16]);
alter table ledger_accounts drop column open_holds;

alter table open_holds add column kind transfer_kind;
update open_holds o set kind = t.kind from transfers t where t.id = o.hold_id;
alter table open_holds alter column kind set not null;

-- Open holds are few, thousands where there are millions of transfers, and each one came and went through this index. Who looks for
-- those that are due reads them all.
drop index open_holds_due;
