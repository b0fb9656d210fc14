/** pgbench, PostgreSQL's own benchmark, on the same server with the same settings. */
import { spawn } from 'node:child_process'
import type pg from 'pg'
import { processMs } from './machine.ts'

const SCALE = 100
const CLIENTS = 32
const LOOK_EVERY_MS = 50

export const pgbenchInWords = `pgbench scale ${SCALE}, ${CLIENTS} clients, prepared`

export type Ran = { perSecond: number; latencyMs: number; ownMs: number }

/** Its tables, made once and kept. */
export async function prepare(owner: pg.Client, program: string, say: (doing: string) => void): Promise<void> {
  const { rowCount } = await owner.query(`select from pg_database where datname = 'bench_pgbench'`)
  if (rowCount) return
  say('tables of pgbench')
  await owner.query('drop database if exists bench_pgbench_unfinished with (force)')
  await owner.query('create database bench_pgbench_unfinished')
  await run(owner, program, 'bench_pgbench_unfinished', ['-i', '-q', '-s', String(SCALE)])
  await owner.query('alter database bench_pgbench_unfinished rename to bench_pgbench')
}

export async function pgbench(
  owner: pg.Client,
  program: string,
  wish: { script: 'tpcb-like' | 'simple-update'; warmSeconds: number; seconds: number; begin: () => void },
): Promise<Ran> {
  const args = ['-b', wish.script, '-M', 'prepared', '-c', String(CLIENTS), '-j', '2']
  // The first call tidies its tables, as pgbench does, and warms up.
  await run(owner, program, 'bench_pgbench', [...args, '-T', String(wish.warmSeconds)])
  wish.begin()
  const { output, ownMs } = await run(owner, program, 'bench_pgbench', [...args, '-n', '-T', String(wish.seconds)])
  const perSecond = Number(/tps = ([\d.]+) \(without/.exec(output)?.[1])
  const latencyMs = Number(/latency average = ([\d.]+) ms/.exec(output)?.[1])
  if (!(perSecond > 0)) throw new Error(`pgbench told no figure: ${output}`)
  return { perSecond, latencyMs, ownMs }
}

function run(owner: pg.Client, program: string, database: string, args: string[]) {
  return new Promise<{ output: string; ownMs: number }>((resolve, reject) => {
    const { host, port, user, password } = owner
    const child = spawn(program, ['-h', host, '-p', String(port), '-U', user ?? '', ...args, database], {
      env: { ...process.env, PGPASSWORD: String(password), PGOPTIONS: '-c synchronous_commit=on -c jit=off' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let ownMs = 0
    // The kernel forgets a process when it ends: what it took is read until then.
    const look = setInterval(() => {
      ownMs = Math.max(ownMs, processMs(child.pid ?? 0))
    }, LOOK_EVERY_MS)
    const hear = (chunk: Buffer) => {
      output = (output + chunk).slice(-65_536)
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.on('error', (error) => {
      clearInterval(look)
      reject(error)
    })
    child.on('close', (code) => {
      clearInterval(look)
      if (code === 0) resolve({ output, ownMs })
      else reject(new Error(`pgbench ended with ${code}: ${output}`))
    })
  })
}
