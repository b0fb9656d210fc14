/**
 * `npm run bench`: the figures of the benchmarks (bench/bench.ts), on a cluster of their own that keeps its data between runs.
 */
import { existsSync } from 'node:fs'
import { totalmem } from 'node:os'
import { delimiter, join } from 'node:path'
import { endWith, keepLock, runInSight, withCrew } from './crew.mjs'
import { checkout, dataFolder, makeFolder } from './folders.mjs'
import { holdData } from './hold.mjs'
import { checkPlatform, childEnvironment, pinnedNode, preparePackages } from './install.mjs'
import { startCluster } from './postgres.mjs'
import { ensurePostgres15 } from './postgres15.mjs'
import { begin, done, keepOutputFree, Refusal } from './say.mjs'

/**
 * Checkpoints every half an hour, or after some six gigabytes of log: as whoever writes thousands of rows a second sets his server
 * (docs/operating/ledger.md). What the launcher gives to `npm start` suits a database that rests most of the day.
 */
const forManyWrites = { max_wal_size: '12GB', checkpoint_timeout: '30min' }
/** A quarter of the memory, as PostgreSQL's manual advises, at most this: everybody's tables fit in. */
const sharedMebibytesMax = 4096

/** @param {string[]} args @returns {Promise<number>} the exit code */
export async function bench(args) {
  checkPlatform()
  if (args.includes('--json')) keepOutputFree()
  return withCrew(async () => {
    keepLock(await preparePackages('bench'))
    const folder = join(dataFolder(process.env), 'bench')
    makeFolder(folder)
    const held = await holdData(folder, { verb: 'bench' })
    if (!held.ok) throw new Refusal(`A benchmark already runs in process ${held.holder.pid}: wait for it to end.`)
    keepLock(held.lock)
    const pgbench = await ensurePgbench()
    begin('Database', 'starting')
    const shared = Math.min(sharedMebibytesMax, Math.floor(totalmem() / 2 ** 20 / 4))
    const cluster = await startCluster({
      folder,
      more: { shared_buffers: `${shared}MB`, ...forManyWrites },
      onLost: (sentence) => endWith({ code: 1, sentence }),
    })
    done(`PostgreSQL ${cluster.version} at 127.0.0.1:${cluster.port}, shared_buffers ${shared} MB`)
    const env = { ...childEnvironment(process.env), BENCH_DATABASE_URL: cluster.url('postgres'), PGBENCH: pgbench }
    return runInSight(pinnedNode, [join(checkout, 'bench', 'bench.ts'), ...args], { cwd: checkout, env })
  })
}

/** PostgreSQL's own benchmark, the rival that everybody knows. Any version of it speaks to ours. */
async function ensurePgbench() {
  const given = process.env['PGBENCH']
  const places = given ? [given] : (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'pgbench'))
  const there = places.find((file) => existsSync(file))
  if (there) return there
  if (given) throw new Refusal(`PGBENCH is ${given}, and there is no such program: correct it, or unset it.`)
  const installed = join(await ensurePostgres15(), 'pgbench')
  if (existsSync(installed)) return installed
  throw new Refusal(
    'pgbench is missing, without which nothing is compared: install it (Debian: apt-get install postgresql), or set PGBENCH to the program.',
  )
}
