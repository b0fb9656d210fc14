/**
 * PostgreSQL dies by `kill -9` in the middle of the ledger's work, again and again, also while it recovers from the death before, and
 * programs that send commands die with it or before it. Each has written down what it sent and what it was told (ledger-client.ts);
 * after each death this is compared with the books one by one, and sent again (proof.ts).
 *
 * A process is killed here, not the machine: what the kernel has is not lost. That PostgreSQL waits for the disk (`fsync`) is its own to
 * prove, and ours to insist on at the start (server/platform/migrate.ts).
 *
 *   npm run faults -- --kills 500 --seed 7
 */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import pg from 'pg'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { type Command, createLedger } from '../../server/ledger/ledger.ts'
import { pause } from '../../server/platform/clock.ts'
import { openLog } from '../../server/platform/log.ts'
import { freshDatabase, type TestDatabase } from '../database.ts'
import { type Chance, chance, SEED } from '../random.ts'
import { until } from '../until.ts'
import { type Cluster, type HowToKill, startCluster } from './cluster.ts'
import { KILLS, MS_PER_KILL_MAX, tellFigures, tellProgress } from './kills.ts'
import type { FromClient, ToClient } from './ledger-client.ts'
import { noCounts, openProof, type Sent } from './proof.ts'

const CLIENTS = 2
const ACCOUNTS = 8
/** Of each client, between two deaths; it dies before they have all been sent. */
const COMMANDS = 1_500
const REACH = { from: 0.05, to: 0.5 }
const JITTER_MS_MAX = 12
/** A recovery takes about so long when there is as little to recover as here. */
const RECOVERY_MS = 60
const LINGER_MS_MAX = 80
const AUDIT_EVERY_KILLS = 25

/** What happens at one death. In this order, so that a few deaths are of all kinds. */
const deaths: { how: HowToKill; client: 'lives' | 'dies first' | 'dies too'; again: boolean }[] = [
  { how: 'postmaster', client: 'dies first', again: false },
  { how: 'everything', client: 'lives', again: true },
  { how: 'backend', client: 'dies too', again: false },
  { how: 'everything', client: 'dies too', again: false },
  { how: 'postmaster', client: 'lives', again: true },
  { how: 'everything', client: 'dies first', again: true },
  { how: 'backend', client: 'lives', again: false },
]

test(`PostgreSQL is killed ${KILLS.postgres} times; what was acknowledged is there, and the rest is wholly there or wholly not`, {
  timeout: 60_000 + KILLS.postgres * MS_PER_KILL_MAX,
}, async (t) => {
  const luck = chance(SEED)
  const folder = mkdtempSync(join(tmpdir(), 'kills-'))
  const sealFile = join(folder, 'seals.log')
  const cluster = await startCluster()
  // The database of this test is on its own cluster.
  process.env['TEST_DATABASE_URL'] = cluster.url
  let db: TestDatabase | undefined
  const clients: Client[] = []
  const counts = { ...noCounts(), kills: 0, killedInRecovery: 0, clientsKilled: 0 }
  const upAgainMs: number[] = []
  try {
    db = await freshDatabase()
    const { database } = db
    const ledger = createLedger({ database, log: openLog({ level: 'silent' }), sealFile })
    const digests = new Map<string, string>()
    let nextAccount = 1n
    for (let round = 0; counts.kills < KILLS.postgres; round++) {
      const missing = Array.from({ length: CLIENTS - clients.length }, () => startClient(db!.url, sealFile))
      clients.push(...(await Promise.all(missing)))
      const accounts = Array.from({ length: ACCOUNTS }, () => nextAccount++)
      for (const account of accounts) await ledger.open(database.pool, account)
      const proof = await openProof(database, accounts)
      await Promise.all(
        clients.map((client, n) => client.draw({ seed: SEED + CLIENTS * round + n, accounts, commands: COMMANDS })),
      )
      const dying = deaths[round % deaths.length]!
      const everybody = clients.map((client, n) => client.send(join(folder, `${round}.${n}`), luck))
      await Promise.race(everybody.map(({ reached }) => reached))
      await pause(luck.whole(0, JITTER_MS_MAX))
      if (dying.client === 'dies first') await clients[0]!.kill()
      const up = await watchDeath(db.url)
      const died = performance.now()
      const { wasReady } = await cluster.kill(dying.how)
      if (dying.client === 'dies too') await clients[0]!.kill()
      counts.kills++
      assert.ok(wasReady)
      if (dying.again && counts.kills < KILLS.postgres) {
        const next = await cluster.killNext(luck.whole(0, RECOVERY_MS))
        counts.kills++
        if (!next.wasReady) counts.killedInRecovery++
      }
      await up(cluster)
      upAgainMs.push(performance.now() - died)
      await pause(luck.whole(0, LINGER_MS_MAX))
      const sent = (await Promise.all(everybody.map((one) => one.end()))).flat()
      for (const dead of clients.filter((client) => client.isDead())) {
        clients.splice(clients.indexOf(dead), 1)
        counts.clientsKilled++
      }
      // What a dead program asked for may still be under way.
      await quiet(database)
      await proof.prove(sent, counts)
      const { rows } = await database.pool.query<{ account: string; digest: string }>(DIGESTS, [accounts])
      for (const { account, digest } of rows) digests.set(account, digest)
      tellProgress({ kind: 'postgres', done: counts.kills, of: KILLS.postgres })
      if (counts.kills % AUDIT_EVERY_KILLS === 0)
        assert.deepEqual(await auditLedger(database.pool, 'ledger', sealFile), [])
    }
    // Nothing that was there once has gone since.
    const all = await database.pool.query<{ account: string; digest: string }>(DIGESTS, [[...digests.keys()]])
    assert.deepEqual(new Map(all.rows.map(({ account, digest }) => [account, digest])), digests)
    while ((await ledger.seal()) > 0) {}
    assert.deepEqual(await auditLedger(database.pool, 'ledger', sealFile), [])
    await ledger.close()

    upAgainMs.sort((a, b) => a - b)
    const figures = {
      ...counts,
      medianUpAgainMs: Math.round(upAgainMs[Math.floor(upAgainMs.length / 2)]!),
      slowestUpAgainMs: Math.round(upAgainMs.at(-1)!),
    }
    tellFigures({ kind: 'postgres', ...figures })
    t.diagnostic(`seed ${SEED}: ${JSON.stringify(figures)}`)
    assert.equal(cluster.lost(), '')
    // Or this would have proved little.
    if (KILLS.postgres >= 4)
      for (const what of ['unansweredThere', 'unansweredAbsent', 'carriedOutAgain', 'refused'] as const)
        assert.ok(counts[what] > 0, `none was ${what}`)
  } catch (error) {
    t.diagnostic(`seed ${SEED}, after ${counts.kills} kills: ${JSON.stringify(counts)}`)
    throw error
  } finally {
    for (const client of clients) await client.kill()
    await db?.close().catch(() => {})
    await cluster.stop()
    rmSync(folder, { recursive: true, force: true })
  }
})

const DIGESTS = `
  select account_id as account, md5(string_agg(t::text, ' ' order by number)) as digest
    from transfers t
   where account_id = any ($1)
   group by account_id`

type Client = Awaited<ReturnType<typeof startClient>>

async function startClient(url: string, sealFile: string) {
  const child: ChildProcess = fork(join(import.meta.dirname, 'ledger-client.ts'), [url, sealFile], {
    serialization: 'advanced',
  })
  const exited = once(child, 'exit')
  let lists: Command[][] = []
  let isDead = false

  const waiting = new Map<FromClient, () => void>()
  child.on('message', (said: FromClient) => waiting.get(said)?.())
  void exited.then(() => {
    for (const wake of waiting.values()) wake()
  })

  /** Or it has died. */
  function hears(what: FromClient): Promise<void> {
    return new Promise((resolve) => {
      waiting.set(what, resolve)
      if (isDead) resolve()
    })
  }

  await hears('ready')
  return {
    isDead: () => isDead,
    async draw(wish: Omit<Extract<ToClient, { does: 'draw' }>, 'does'>): Promise<void> {
      const told = once(child, 'message') as Promise<[{ lists: Command[][] }]>
      child.send({ does: 'draw', ...wish } satisfies ToClient)
      lists = (await told)[0].lists
    },
    send(journal: string, luck: Chance) {
      const reach = Math.floor(lists.length * (REACH.from + luck.next() * (REACH.to - REACH.from)))
      const reached = hears('reached')
      const done = hears('done')
      child.send({ does: 'send', journal, reach } satisfies ToClient)
      return {
        reached,
        /** What it sent, and what it was told. */
        async end(): Promise<Sent[]> {
          if (!isDead) child.send({ does: 'end' } satisfies ToClient)
          await done
          return readJournal(journal, lists)
        },
      }
    },
    async kill(): Promise<void> {
      isDead = true
      child.kill('SIGKILL')
      await exited
    },
  }
}

function readJournal(file: string, lists: Command[][]): Sent[] {
  const sent = new Map<number, Sent>()
  // What stands after the last end of a line was being written when it died.
  for (const line of readFileSync(file, { encoding: 'utf8', flag: 'a+' }).split('\n').slice(0, -1)) {
    const [, number, what, more] = /^(\d+) (sent away|sent|answered|unknown|failed)(?: (.*))?$/.exec(line)!
    const n = Number(number)
    assert.notEqual(what, 'failed', `${more}: ${line}`)
    if (what === 'sent') sent.set(n, { list: lists[n]!, answer: 'unanswered' })
    else if (what === 'sent away') sent.get(n)!.answer = 'sent away'
    else if (what === 'answered') sent.get(n)!.answer = JSON.parse(more!) as string[]
  }
  return [...sent.values()]
}

/** Answers how to wait until a death, which is yet to come, was noticed and PostgreSQL serves again. */
async function watchDeath(url: string) {
  const watch = new pg.Client({ connectionString: url })
  const ended = new Promise<void>((resolve) => {
    watch.on('error', () => {})
    watch.on('end', resolve)
  })
  await watch.connect()
  return async (cluster: Cluster): Promise<void> => {
    await ended
    await until(async () => {
      assert.equal(cluster.lost(), '')
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => {})
      try {
        await client.connect()
        await client.query('select 1')
        return true
      } catch {
        return false
      } finally {
        await client.end().catch(() => {})
      }
    })
  }
}

/** Waits until nobody but us asks anything of the database. */
async function quiet(database: TestDatabase['database']): Promise<void> {
  await until(async () => {
    const { rows } = await database.pool
      .query<{ count: number }>(
        `select count(*)::int as count from pg_stat_activity
          where datname = current_database() and backend_type = 'client backend' and state <> 'idle' and pid <> pg_backend_pid()`,
      )
      // A connection of the pool may be of before the death.
      .catch(() => ({ rows: [] }))
    return rows[0]?.count === 0
  })
}
