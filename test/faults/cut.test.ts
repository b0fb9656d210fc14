/**
 * The wire to PostgreSQL is cut at each moment of the ledger's commands on purpose: before they go out, while they are carried out, while
 * they are committed, in the middle of the answer, after it, and so that nobody notices. What was told is held against the books, one by
 * one, and everything is sent again (proof.ts).
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { usd } from '../../contract/money.ts'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { type Command, createLedger, type Ledger } from '../../server/ledger/ledger.ts'
import { OutcomeUnknown, Overloaded } from '../../server/platform/batch.ts'
import { type Database, openDatabase } from '../../server/platform/db.ts'
import { newId } from '../../server/platform/ids.ts'
import { openLog } from '../../server/platform/log.ts'
import { isPassing } from '../../server/platform/trouble.ts'
import { freshDatabase, type TestDatabase } from '../database.ts'
import { print } from '../ledger/oracle.ts'
import { SEED } from '../random.ts'
import { until } from '../until.ts'
import { type Next, openWire } from '../wire.ts'
import { drawLists } from './lists.ts'
import { noCounts, openProof, type Sent } from './proof.ts'

const ACCOUNTS = 4
/** All of them fit into one call. */
const COMMANDS = 60

type Wire = Awaited<ReturnType<typeof openWire>>
type Gate = 'work' | 'commit'
/** What becomes of a call whose wire was cut while PostgreSQL is at it. */
type Orphan = 'goes on' | 'dies'

let db: TestDatabase
let owner: pg.Client
let between: Wire
let database: Database
let ledger: Ledger
let nextAccount = 1n

before(async () => {
  db = await freshDatabase()
  owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  // Gates where a transaction can be met: when it has written its rows, and when it commits.
  await owner.query(`
    create table gates (name text primary key, closed boolean not null default false);
    insert into gates values ('work'), ('commit');
    create function wait_at_gate() returns trigger language plpgsql security definer set search_path = public as $$
    begin
      while (select closed from gates where name = tg_argv[0]) loop perform pg_sleep(0.005); end loop;
      return null;
    end $$;
    create trigger at_work after insert on transfers for each statement execute function wait_at_gate('work');
    create constraint trigger at_commit after insert on transfers deferrable initially deferred
      for each row execute function wait_at_gate('commit')`)
  between = await openWire(db.url)
  database = openDatabase({ url: between.url, role: 'mobilesms_app', connectionsMax: 4, onIdleError: () => {} })
  ledger = createLedger({ database, log: openLog({ level: 'silent' }), lanes: 1 })
})
after(async () => {
  assert.deepEqual(await auditLedger(db.database.pool, 'ledger'), [])
  await ledger.close()
  await database.close()
  await between.close()
  await owner.end()
  await db.close()
})

const moments: { moment: string; cut: Next | { at: Gate; orphan: Orphan }; found: 'there' | 'not there' }[] = [
  { moment: 'before it goes out', cut: 'cut_before', found: 'not there' },
  { moment: 'while it is carried out, and then is', cut: { at: 'work', orphan: 'goes on' }, found: 'there' },
  { moment: 'while it is carried out, and then is not', cut: { at: 'work', orphan: 'dies' }, found: 'not there' },
  { moment: 'while it is committed, and then is', cut: { at: 'commit', orphan: 'goes on' }, found: 'there' },
  { moment: 'while it is committed, and then is not', cut: { at: 'commit', orphan: 'dies' }, found: 'not there' },
  { moment: 'in the middle of the answer', cut: 'cut_inside', found: 'there' },
  { moment: 'before the last word of the answer', cut: 'cut_before_ready', found: 'there' },
  { moment: 'before the answer', cut: 'cut_after', found: 'there' },
  { moment: 'so that nobody notices', cut: 'silence', found: 'there' },
]

for (const [n, { moment, cut, found }] of moments.entries()) {
  test(`a call of the batcher is cut ${moment}: asked again, it is found ${found}, and everybody hears the truth`, async () => {
    const { lists, proof } = await begin(n)
    // The lane has a connection, and nothing but the call goes over it.
    const first: Sent = { list: [gift(lists[0]![0]!.accountId)], answer: ['ok'] }
    assert.deepEqual((await ledger.submitGroup(first.list)).map(print), ['ok'])
    const cutting = typeof cut === 'string' ? null : cutAt(cut.at, cut.orphan)
    if (typeof cut === 'string') between.nextCall(cut)
    await cutting?.closed
    const answers = lists.map((list) =>
      ledger.submitGroup(list).then(
        (outcomes) => outcomes.map(print),
        (error: Error) => {
          if (error instanceof Overloaded) return 'sent away'
          if (error instanceof OutcomeUnknown) return 'unanswered'
          throw error
        },
      ),
    )
    await cutting?.done()
    const told = await Promise.all(answers)
    // The first one can be refused by nothing. Of those after it, one that was refused may be carried out by the repetition.
    assert.deepEqual(told[0], [found === 'there' ? 'exists' : 'ok'])

    const counts = noCounts()
    await proof.prove([first, ...told.map((answer, at) => ({ list: lists[at]!, answer }))], counts)
    assert.ok(counts.refused > 0)
  })
}

const commits: typeof moments = [
  { moment: 'before its commit goes out', cut: 'cut_before', found: 'not there' },
  { moment: 'while it is committed, and then is', cut: { at: 'commit', orphan: 'goes on' }, found: 'there' },
  { moment: 'while it is committed, and then is not', cut: { at: 'commit', orphan: 'dies' }, found: 'not there' },
  { moment: 'in the middle of the answer to its commit', cut: 'cut_inside', found: 'there' },
  { moment: 'before the answer to its commit', cut: 'cut_after', found: 'there' },
]

for (const [n, { moment, cut, found }] of commits.entries()) {
  test(`a transaction of a room's own is cut ${moment}: the room is told that it may ask again, and it is ${found}`, async () => {
    const { lists, proof } = await begin(moments.length + n)
    const cutting = typeof cut === 'string' ? null : cutAt(cut.at, cut.orphan)
    const failed = database
      .transaction(async (tx) => {
        for (const list of lists) await ledger.apply(tx, list, { asGroup: list.length > 1 })
        if (typeof cut === 'string') between.nextCall(cut)
        await cutting?.closed
      })
      .then(
        () => assert.fail('nobody noticed'),
        (error: Error) => error,
      )
    await until(async () => typeof cut === 'string' || cutting)
    await cutting?.done()
    const error = await failed
    assert.ok(isPassing(error), `${error}`)

    const counts = noCounts()
    await proof.prove(
      lists.map((list) => ({ list, answer: 'unanswered' })),
      counts,
    )
    assert.equal(counts.unansweredThere > 0, found === 'there')
    assert.ok(counts.unansweredAbsent > 0, 'those that were refused are not there in either case')
  })
}

async function begin(n: number) {
  const accounts = Array.from({ length: ACCOUNTS }, () => nextAccount++)
  for (const account of accounts) await ledger.open(db.database.pool, account)
  const proof = await openProof(db.database, accounts)
  return { lists: [[gift(accounts[0]!)], ...drawLists({ seed: SEED + n, accounts, commands: COMMANDS })], proof }
}

function gift(accountId: bigint): Command {
  const [id, reference] = [newId(), newId()]
  return { id, kind: 'credit', accountId, code: 'gift', contra: 'goodwill', amount: usd('1.00'), reference }
}

/** Closes a gate, cuts all wires when somebody stands there, and lets him go on, or ends him. */
function cutAt(gate: Gate, orphan: Orphan) {
  const set = (closed: boolean) => owner.query('update gates set closed = $2 where name = $1', [gate, closed])
  return {
    closed: set(true),
    async done(): Promise<void> {
      let pid: number | undefined
      try {
        pid = await until(async () => {
          const { rows } = await owner.query(
            `select pid from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
          )
          return rows[0]?.pid as number | undefined
        })
        between.cutAll()
        if (orphan === 'dies') await owner.query('select pg_terminate_backend($1, 30000)', [pid])
      } finally {
        await set(false)
      }
      await until(async () => (await owner.query('select from pg_stat_activity where pid = $1', [pid])).rowCount === 0)
    },
  }
}
